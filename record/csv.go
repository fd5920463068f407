package record

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tickstorm/tickstorm"
)

// CSV writes what a reader reads to files in a folder, one a kind of event, such as trades.csv, with
// the columns of [Schemas] and their names in the first row; COLUMNS.md lists them. Of a kind that
// does not occur there is no file.
//
// What is missing has a row each in gaps.csv, which is always there. Every other row says in its column
// gap what number the last one before it has: where that rises from one row of a market in trades.csv
// to the next, trades may be missing in between. What is missing behind the last trade stands in
// gaps.csv alone. What has no columns stands as it came in unknown.csv.
//
// The files are those of RFC 4180, but for line feeds alone at the ends of lines. A cell without a
// value is empty, and an empty text is "". Times are in nanoseconds since 1970. Numbers read as the
// same float64 again, decimals are digit by digit as the vendor wrote them, and lists are JSON:
// [12,37] of conditions, [[101.5,2],[101.4,7]] of levels, with the quotes that CSV demands.
// Nothing is changed for the sake of spreadsheets: these drop the zeros that an id begins
// with and the digits behind the fifteenth, and take a text that begins with =, +, - or @ for a formula.
//
// The folder is made if there is none. Files are written beside their names and have them when all
// are whole; what fails leaves none. None is overwritten: a name that is taken is a [fs.ErrExist].
// Another error is a [*WriteError], or that of a file that is read, or of ctx. Memory does not grow
// with the recording, but for one table of symbols, which is bounded.
func CSV(ctx context.Context, folder string, r *Reader) (Converted, error) {
	w, err := newCSVWriter(folder)
	if err != nil {
		return Converted{}, err
	}
	if err := w.run(ctx, r); err != nil {
		for _, f := range w.written() {
			f.out.discard()
		}
		return w.done, err
	}
	return w.done, nil
}

// csvWriter writes rows, as a handler of what it has parsed.
type csvWriter struct {
	folder  string
	files   []*csvFile // as schemas has them; nil before the first row
	symbols *tickstorm.Symbols
	markets map[tickstorm.Market]*csvMarket
	done    Converted
	err     error // of a file: nothing is written any more

	gaps    uint64 // rows of gaps that have a number
	nowhere uint64 // the last of them of no known market

	entry *Entry // the message that is parsed
	of    *csvMarket
	next  int // of its elements
	row   []byte
}

// csvMarket is what is known of a market.
type csvMarket struct {
	parser   *tickstorm.Parser
	channels []string // by stream
	gap      uint64   // the last row of gaps
}

// csvFile is the file of a schema.
type csvFile struct {
	out *output
	*bufio.Writer
}

func newCSVWriter(folder string) (*csvWriter, error) {
	w := &csvWriter{
		folder: folder, files: make([]*csvFile, len(schemas())),
		symbols: tickstorm.NewSymbols(0), markets: map[tickstorm.Market]*csvMarket{},
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, &WriteError{"make folder", folder, err}
	}
	for _, s := range schemas() { // before a day's work, not after it
		switch _, err := os.Lstat(w.path(s)); {
		case err == nil:
			return nil, &WriteError{"create", w.path(s), fs.ErrExist}
		case !errors.Is(err, fs.ErrNotExist):
			return nil, &WriteError{"stat", w.path(s), err}
		}
	}
	return w, nil
}

func (w *csvWriter) path(s *Schema) string { return filepath.Join(w.folder, s.Name+".csv") }

func (w *csvWriter) run(ctx context.Context, r *Reader) error {
	gaps := len(schemas()) - 1
	if w.file(gaps); w.err != nil {
		return w.err
	}
	for e, err := range r.All(ctx) {
		if err != nil {
			return err
		}
		if e.Raw != nil {
			w.message(e)
		} else {
			w.event(gaps, e)
		}
		if w.err != nil {
			return w.err
		}
	}
	for _, m := range w.markets {
		w.done.UnknownKeys += m.parser.Stats().UnknownKeys
	}
	return w.publish()
}

// written returns the files that there are, gaps last.
func (w *csvWriter) written() (files []*csvFile) {
	for _, f := range w.files {
		if f != nil {
			files = append(files, f)
		}
	}
	return files
}

func (w *csvWriter) publish() error {
	files := w.written()
	for _, f := range files {
		if err := f.Flush(); err != nil {
			return &WriteError{"write", f.out.part(), err}
		}
		if err := f.out.finish(); err != nil {
			return &WriteError{"fsync", f.out.part(), err}
		}
	}
	for _, f := range files {
		if err := f.out.publish(); err != nil {
			return &WriteError{"rename", f.out.path, err}
		}
	}
	if err := syncFolder(w.folder); err != nil {
		return &WriteError{"fsync", w.folder, err}
	}
	return nil
}

// file returns the file of a schema, with its first row; nil if there can be none.
func (w *csvWriter) file(at int) *csvFile {
	if f := w.files[at]; f != nil || w.err != nil {
		return f
	}
	s := schemas()[at]
	out, err := newOutput(w.path(s))
	if err != nil {
		w.err = &WriteError{"create", w.path(s), err}
		return nil
	}
	f := &csvFile{out, bufio.NewWriterSize(out, 256<<10)}
	w.files[at] = f
	for i := range s.Columns {
		if i > 0 {
			f.WriteByte(',')
		}
		f.WriteString(s.Columns[i].Name)
	}
	f.WriteByte('\n')
	return f
}

// end writes the row, of which every cell has a comma behind it.
func (w *csvWriter) end(at int) {
	f := w.file(at)
	if f == nil {
		return
	}
	w.row[len(w.row)-1] = '\n'
	if _, err := f.Write(w.row); err != nil && w.err == nil {
		w.err = &WriteError{"write", f.out.part(), err}
	}
}

func (w *csvWriter) market(m tickstorm.Market) *csvMarket {
	k := w.markets[m]
	if k == nil {
		k = &csvMarket{parser: tickstorm.NewParser(m), gap: w.nowhere}
		k.parser.SetLimits(tickstorm.Limits{Message: MaxMessage})
		k.parser.SetSymbols(w.symbols)
		for _, s := range append([]tickstorm.Stream{0}, m.Streams()...) {
			for int(s) >= len(k.channels) {
				k.channels = append(k.channels, "")
			}
			k.channels[s], _ = m.Channel(s) // which the market has
		}
		k.channels[0] = "status"
		w.markets[m] = k
	}
	return k
}

// message writes the elements of a message.
func (w *csvWriter) message(e *Entry) {
	w.entry, w.of, w.next = e, w.market(e.Market), 0
	err := w.of.parser.Parse(e.Raw, w)
	if err != nil && err != tickstorm.ErrTruncated { // which was an element's
		w.broken(err, e.Raw)
	}
}

// begin begins the row of an element.
func (w *csvWriter) begin(channel string) {
	n := w.next
	w.next++
	if w.entry.Elements != nil && n < len(w.entry.Elements) {
		n = w.entry.Elements[n]
	}
	b := appendTextCell(w.row[:0], string(w.entry.Market))
	b = append(b, ',')
	if channel != "" {
		b = appendTextCell(b, channel)
	}
	b = appendInt(append(b, ','), w.entry.Received)
	b = appendInt(append(b, ','), int64(w.entry.Sequence))
	b = appendInt(append(b, ','), int64(n))
	b = appendInt(append(b, ','), int64(w.of.gap))
	w.row = append(b, ',')
}

// event writes what is no message: what is missing, or where a connection ends or begins.
func (w *csvWriter) event(at int, e *Entry) {
	c, ok := e.Gap()
	if !ok {
		return
	}
	b := w.row[:0]
	if c.Kind != Up {
		w.done.Gaps++
		w.gaps++
		b = appendInt(b, int64(w.gaps))
		if e.Market != "" {
			w.market(e.Market).gap = w.gaps
		} else { // it may be of any
			w.nowhere = w.gaps
			for _, m := range w.markets {
				m.gap = w.gaps
			}
		}
	}
	b = appendTextCell(append(b, ','), string(c.Kind))
	b = append(b, ',')
	if e.Market != "" {
		b = appendTextCell(b, string(e.Market))
	}
	b = appendNonzero(append(b, ','), c.Received)
	for _, m := range [...]tickstorm.Moment{c.From, c.To} {
		b = appendNonzero(append(b, ','), nanos(m.Event))
		b = appendNonzero(append(b, ','), nanos(m.Received))
	}
	b = appendNonzero(append(b, ','), int64(c.Count))
	b = appendNonzero(append(b, ','), int64(c.Bytes))
	b = append(b, ',')
	if c.Cause != "" {
		b = appendTextCell(b, c.Cause)
	}
	b = append(b, ',')
	if len(c.Topics) > 0 {
		b = appendTexts(b, c.Topics)
	}
	w.row = append(b, ',')
	w.end(at)
}
