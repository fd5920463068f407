package parquet

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/tickstorm/tickstorm"
)

// file is what a part is written to, so that tests can have a disk that is full or lies.
type file interface {
	io.WriteCloser
	Sync() error
}

func create(path string) (file, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
}

// partKey is which table and day of a segment's market a part is of.
type partKey struct{ ev, day string }

// part is a file that is written.
type part struct {
	table *table
	key   partKey
	path  string // that it will have
	file  file
	out   *parquet.GenericWriter[any]
	rows  *rows
	used  uint64 // when it had its last row

	groups      int    // row groups
	count       int64  // rows
	first, last uint64 // messages that they are of
	bytes       int64
}

var codec = &zstd.Codec{} // serves any number of goroutines

// begin makes the file, under the name that it has until it is whole.
func (p *part) begin(create func(string) (file, error), sort bool) (err error) {
	if err := os.MkdirAll(filepath.Dir(p.path), 0o755); err != nil {
		return &WriteError{"make folder", filepath.Dir(p.path), err}
	}
	if p.file, err = create(p.path + tempSuffix); err != nil {
		return &WriteError{"create", p.path + tempSuffix, err}
	}
	options := []parquet.WriterOption{
		p.table.parquet, parquet.Compression(codec), parquet.CreatedBy("tickstorm", schemaVersion, ""),
		parquet.DictionaryMaxBytes(1 << 20),
	}
	if sort && p.table.symbol >= 0 && p.table.when >= 0 {
		options = append(options, parquet.SortingWriterConfig(parquet.SortingColumns(
			parquet.Ascending("symbol"), parquet.Ascending(p.table.Columns[p.table.when].Name))))
	}
	p.out = parquet.NewGenericWriter[any](p.file, options...)
	return nil
}

// write writes a row group, beside what is read meanwhile: it touches nothing else of the part.
func (p *part) write(r *rows, sort bool, s *scratch) error {
	if err := r.write(p.out, sort, s); err != nil {
		return &WriteError{"write", p.path + tempSuffix, err}
	}
	return nil
}

// finish makes the file whole, has it outlast a power cut, and looks whether it has what it should.
func (p *part) finish(footer map[string]string) error {
	temp := p.path + tempSuffix
	for _, key := range slices.Sorted(maps.Keys(footer)) {
		p.out.SetKeyValueMetadata(key, footer[key])
	}
	err := p.out.Close()
	op := "write"
	if err == nil {
		op, err = "fsync", p.file.Sync()
	}
	if cerr := p.file.Close(); err == nil {
		op, err = "close", cerr
	}
	p.file = nil
	if err != nil {
		return &WriteError{op, temp, err}
	}
	info, err := os.Stat(temp)
	if err != nil {
		return &WriteError{"stat", temp, err}
	}
	p.bytes = info.Size()
	return check(temp, p.table, p.count)
}

// abandon closes a part that is not finished and removes what there is of it.
func (p *part) abandon() {
	if p.file != nil {
		_ = p.file.Close() // what matters is why it is abandoned
		p.file = nil
	}
	_ = os.Remove(p.path + tempSuffix)
}

// check opens a part and counts its rows: in the footer, in the row groups, and in a column, whose
// pages are read.
func check(path string, t *table, want int64) error {
	f, err := os.Open(path)
	if err != nil {
		return &CheckError{Path: path, Want: want, Err: err}
	}
	defer f.Close()
	have, err := count(f, t)
	if err != nil || have != want {
		return &CheckError{path, have, want, err}
	}
	return nil
}

var errDisagree = errors.New("its footer, its row groups and its pages do not have the same number of rows")

func count(f *os.File, t *table) (int64, error) {
	open, err := openParquet(f)
	if err != nil {
		return 0, err
	}
	if have, want, differ := differ(open.Schema(), t.parquet); differ {
		return 0, &SchemaError{f.Name(), have, want}
	}
	var groups, values int64
	for _, g := range open.RowGroups() {
		groups += g.NumRows()
		n, err := countValues(g.ColumnChunks()[0])
		if err != nil {
			return 0, err
		}
		values += n
	}
	if groups != open.NumRows() || values != groups {
		return open.NumRows(), errDisagree
	}
	return groups, nil
}

func openParquet(f *os.File) (*parquet.File, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return parquet.OpenFile(f, info.Size())
}

// countValues reads the pages of a column.
func countValues(c parquet.ColumnChunk) (n int64, err error) {
	pages := c.Pages()
	defer pages.Close()
	for {
		p, err := pages.ReadPage()
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		n += p.NumValues()
		parquet.Release(p)
	}
}

// differ returns the first lines in which two schemas differ.
func differ(a, b *parquet.Schema) (have, want string, differ bool) {
	x, y := strings.Split(a.String(), "\n"), strings.Split(b.String(), "\n")
	for i := range max(len(x), len(y)) {
		have, want = "", ""
		if i < len(x) {
			have = strings.TrimSpace(x[i])
		}
		if i < len(y) {
			want = strings.TrimSpace(y[i])
		}
		if have != want {
			return have, want, true
		}
	}
	return "", "", false
}

// agree compares the newest part that is there of a table with what the table's parts have.
func agree(root string, m tickstorm.Market, ev string, t *table) error {
	dir := filepath.Join(root, filepath.FromSlash(folderOf(m, ev, "")), "..")
	days, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &WriteError{"list", dir, err}
	}
	for i := len(days) - 1; i >= 0; i-- {
		names, err := os.ReadDir(filepath.Join(dir, days[i].Name()))
		if err != nil {
			continue // it is no folder
		}
		for k := len(names) - 1; k >= 0; k-- {
			if strings.HasSuffix(names[k].Name(), suffix) {
				return agrees(filepath.Join(dir, days[i].Name(), names[k].Name()), t)
			}
		}
	}
	return nil
}

func agrees(path string, t *table) error {
	f, err := os.Open(path)
	if err != nil {
		return &WriteError{"open", path, err}
	}
	defer f.Close()
	open, err := openParquet(f)
	if err != nil {
		return &SchemaError{Path: path, Have: err.Error()}
	}
	if have, want, differ := differ(open.Schema(), t.parquet); differ {
		return &SchemaError{path, have, want}
	}
	return nil
}

// footerGap is a row of gaps as footers have it. Times are nanoseconds since 1970, 0 is not known.
type footerGap struct {
	Number       uint64 `json:"gap,omitempty"`
	Kind         string `json:"kind"`
	Received     int64  `json:"received"`
	FromReceived int64  `json:"from_received,omitempty"`
	ToReceived   int64  `json:"to_received,omitempty"`
	Messages     uint64 `json:"messages,omitempty"`
	Cause        string `json:"cause,omitempty"`
}

// footerSegment is what a footer says of the segment that the part is of.
type footerSegment struct {
	Name         string `json:"name"`
	FirstMessage uint64 `json:"first_message"`
	LastMessage  uint64 `json:"last_message"`
	Rows         int64  `json:"rows"`
}

// footerGaps are the gaps of that segment, of which a part without any rows may be the one that lacks
// something. A part that was finished before the segment's end, being full or in the way of others, has
// those until then; the rows of ev=gaps are all.
type footerGaps struct {
	Count int         `json:"count"`
	First []footerGap `json:"first"` // maxFooterGaps of them
}

const maxFooterGaps = 100

// footer is what a part says of itself.
func (c *conversion) footer(p *part) map[string]string {
	text := func(v any) string {
		b, _ := json.Marshal(v) // strings and numbers cannot fail
		return string(b)
	}
	return map[string]string{
		"tickstorm.version":  schemaVersion,
		"tickstorm.market":   string(c.seg.market),
		"tickstorm.ev":       p.key.ev,
		"tickstorm.day":      p.key.day,
		"tickstorm.zone":     c.zone.String(),
		"tickstorm.columns":  p.table.described,
		"tickstorm.segments": text([]footerSegment{{c.seg.name, p.first, p.last, p.count}}),
		"tickstorm.gaps":     text(footerGaps{c.gaps, c.footerGaps}),
	}
}
