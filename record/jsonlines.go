package record

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"

	"github.com/tickstorm/tickstorm"
)

// Converted is what a conversion has written.
type Converted struct {
	// Elements are those of messages, Gaps the lines or rows that say what is missing. Rows of [CSV]
	// that say that a connection ended do not count: what was missed then is a gap of its own, and
	// behind the last there is nothing.
	Elements, Gaps uint64
	// Broken is what was in messages and is no element.
	Broken uint64
	// UnknownKeys are members of elements that no column is for; [JSONLines] has them where they
	// were.
	UnknownKeys uint64
}

// gapLine is how something that is missing stands among elements. No element of the vendor's has a
// key "gap", and none is without ev.
type gapLine struct {
	Gap    string           `json:"gap"` // the kind of control, or "damage"
	Market tickstorm.Market `json:"market"`
	From   *momentJSON      `json:"from,omitempty"`
	To     *momentJSON      `json:"to,omitempty"`
	Cause  string           `json:"cause,omitempty"`
	Count  uint64           `json:"count,omitempty"`
	Topics []string         `json:"topics,omitempty"`
}

// JSONLines writes what a reader reads to w, an element a line, each as it came but for line breaks
// between its tokens, which become spaces. Where something is missing, there is a line of its own:
//
//	{"gap":"gap","market":"stocks","from":{"event":…,"received":…},"to":{…},"cause":"EOF","topics":["T.*"]}
//
// with the times in nanoseconds since 1970. Its gap is that of the connection ("gap"), of the
// recorder's buffer ("dropped"), of what could not be recovered ("lost"), or of the recording
// itself ("damage", whose cause is a [Reason]). What is broken within a message is one line of
// what cannot be read as JSON in a line "error":
//
//	{"error":"element is not valid JSON","market":"stocks","raw":"…"}
//
// The error is of w, of a file, or of ctx. Memory does not grow with the recording.
func JSONLines(ctx context.Context, w io.Writer, r *Reader) (done Converted, err error) {
	l := lineWriter{w: bufio.NewWriterSize(w, 256<<10), splits: map[tickstorm.Market]*tickstorm.Splitter{}}
	for e, err := range r.All(ctx) {
		if err == nil {
			err = l.entry(e)
		}
		if err != nil {
			_ = l.w.Flush() // the error that matters is err
			return l.done, err
		}
	}
	return l.done, l.w.Flush()
}

// lineWriter writes JSON lines.
type lineWriter struct {
	w      *bufio.Writer
	splits map[tickstorm.Market]*tickstorm.Splitter
	line   []byte
	done   Converted
}

func (l *lineWriter) entry(e *Entry) error {
	if c, ok := missing(e); ok {
		return l.gap(gapLine{string(c.Kind), e.Market, momentOf(c.From), momentOf(c.To), c.Cause, c.Count, c.Topics})
	}
	if e.Raw == nil {
		return nil
	}
	return l.message(e)
}

func (l *lineWriter) gap(g gapLine) error {
	l.done.Gaps++
	return l.json(g)
}

func (l *lineWriter) json(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	l.w.Write(text) // a later call tells what is wrong
	return l.w.WriteByte('\n')
}

func (l *lineWriter) message(e *Entry) error {
	split := l.splits[e.Market]
	if split == nil {
		split = tickstorm.NewSplitter(e.Market)
		split.SetLimits(tickstorm.Limits{Message: MaxMessage})
		split.SetValidate(true)
		l.splits[e.Market] = split
	}
	for split.Reset(e.Raw); split.Next(); {
		el := split.Element()
		raw := e.Raw[el.Start:el.End]
		if el.Err != nil {
			if err := l.broken(e.Market, el.Err, raw); err != nil {
				return err
			}
			continue
		}
		l.done.Elements++
		l.line = appendLine(l.line[:0], raw)
		l.w.Write(l.line)
		if err := l.w.WriteByte('\n'); err != nil {
			return err
		}
	}
	if err := split.Err(); err != nil {
		return l.broken(e.Market, err, e.Raw)
	}
	return nil
}

func (l *lineWriter) broken(m tickstorm.Market, err error, raw []byte) error {
	l.done.Broken++
	return l.json(struct {
		Error  string           `json:"error"`
		Market tickstorm.Market `json:"market"`
		Raw    string           `json:"raw"`
	}{err.Error(), m, string(raw[:min(len(raw), maxBroken)])})
}

// maxBroken is how many bytes of what is broken a conversion shows.
const maxBroken = 1 << 10

// appendLine appends an element on one line: in valid JSON a line break is between tokens.
func appendLine(dst, element []byte) []byte {
	for {
		n := bytes.IndexAny(element, "\n\r")
		if n < 0 {
			return append(dst, element...)
		}
		dst = append(append(dst, element[:n]...), ' ')
		element = element[n+1:]
	}
}
