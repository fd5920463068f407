package record

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/tickstorm/tickstorm"
)

// Converted is what a conversion has written.
type Converted struct {
	// Elements are those of messages, Gaps the lines that say what is missing.
	Elements, Gaps uint64
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
	done   Converted
}

func (l *lineWriter) entry(e *Entry) error {
	switch {
	case e.Damage != nil:
		if e.Damage.Reason == ClockBack { // nothing is missing
			return nil
		}
		return l.gap(gapLine{Gap: "damage", Market: e.Market, Cause: string(e.Damage.Reason), From: received(e.Received)})
	case e.Control == nil:
		return l.message(e)
	}
	c := e.Control
	switch c.Kind {
	case Gap, Dropped, Lost:
		return l.gap(gapLine{string(c.Kind), e.Market, momentOf(c.From), momentOf(c.To), c.Cause, c.Count, c.Topics})
	}
	return nil
}

func received(nanos int64) *momentJSON {
	if nanos == 0 {
		return nil
	}
	return momentOf(tickstorm.Moment{Received: time.Unix(0, nanos)})
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
		for len(raw) > 0 { // in valid JSON a line break is between tokens
			n := bytes.IndexAny(raw, "\n\r")
			if n < 0 {
				l.w.Write(raw)
				break
			}
			l.w.Write(raw[:n])
			l.w.WriteByte(' ')
			raw = raw[n+1:]
		}
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
	const most = 1 << 10 // bytes of what is broken
	return l.json(struct {
		Error  string           `json:"error"`
		Market tickstorm.Market `json:"market"`
		Raw    string           `json:"raw"`
	}{err.Error(), m, string(raw[:min(len(raw), most)])})
}
