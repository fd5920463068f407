package format

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
)

// template is a format of the user's.
type template struct {
	parts [tickstorm.Kinds][]cell
}

// Names lists what may stand in braces, for help texts.
const Names = "time, sym, ev, price, size, bid, ask, received, lag, raw, every column of record/COLUMNS.md (bid_size, close, conditions, ...) and the vendor's keys (p, s, q, ...)"

// short are names for fields that are long otherwise.
var short = map[string]string{"sym": "symbol", "bid": "bid_price", "ask": "ask_price", "ev": "channel", "seq": "sequence_number"}

// timeForm is that of times for people and programs alike.
const timeForm = "2006-01-02T15:04:05.000Z07:00"

func newTemplate(text string, o Options) (*template, error) {
	f := &template{}
	add := func(c cell) {
		for k := range f.parts {
			f.parts[k] = append(f.parts[k], c)
		}
	}
	literal := func(s string) {
		if s != "" {
			add(func(dst []byte, _ tickstorm.Event) []byte { return append(dst, s...) })
		}
	}
	text = strings.NewReplacer(`\t`, "\t", `\n`, "\n", `\\`, `\`).Replace(text)
	for {
		open := strings.IndexAny(text, "{}")
		if open < 0 {
			literal(text)
			literal("\n")
			return f, nil
		}
		literal(text[:open])
		if strings.HasPrefix(text[open:], "{{") || strings.HasPrefix(text[open:], "}}") {
			literal(text[open : open+1])
			text = text[open+2:]
			continue
		}
		end := strings.IndexByte(text, '}')
		if text[open] == '}' || end < open {
			return nil, fmt.Errorf("%w: a brace without another; a brace itself is written twice", ErrForm)
		}
		name := text[open+1 : end]
		text = text[end+1:]
		if c := o.special(name); c != nil {
			add(c)
			continue
		}
		if !f.field(name) {
			return nil, fmt.Errorf("%w: no field {%s}: there are %s", ErrForm, name, Names)
		}
	}
}

// special returns what stands for a name that is no field of the event's, nil if it is one.
func (o Options) special(name string) cell {
	at := func(of func(e tickstorm.Event) time.Time) cell {
		return func(dst []byte, e tickstorm.Event) []byte { return of(e).In(o.Zone).AppendFormat(dst, timeForm) }
	}
	switch name {
	case "time":
		return at(o.time)
	case "received":
		return at(func(e tickstorm.Event) time.Time { return e.Head().ReceivedTime() })
	case "lag":
		return func(dst []byte, e tickstorm.Event) []byte {
			t := timestamp(e)
			if t <= 0 {
				return dst
			}
			return append(dst, time.Duration(e.Head().Received-t.Nanoseconds()).Round(time.Microsecond).String()...)
		}
	case "raw":
		return func(dst []byte, e tickstorm.Event) []byte {
			dst = AppendElement(dst, e.Head().Raw, 0, false)
			return dst[:len(dst)-1]
		}
	case "kind":
		return func(dst []byte, e tickstorm.Event) []byte { return append(dst, e.Kind().String()...) }
	}
	if long := short[name]; long != "" {
		name = long
	}
	if c := shared[name]; c != nil {
		return c
	}
	return nil
}

// field adds a field of the event's; false if no kind has it.
func (f *template) field(name string) bool {
	names := []string{name}
	if long := short[name]; long != "" {
		names = []string{long}
	}
	found := false
	for k := range f.parts {
		kind := tickstorm.Kind(k)
		candidates := names
		switch { // what people mean by it
		case name == "price" && kind == tickstorm.KindAggregate:
			candidates = []string{"close"}
		case name == "size" && kind == tickstorm.KindAggregate:
			candidates = []string{"volume"}
		case name == "price" && kind == tickstorm.KindValue:
			candidates = []string{"value"}
		}
		i := slices.IndexFunc(candidates, func(n string) bool { return column(kind, n) != nil })
		if i < 0 {
			continue
		}
		c := column(kind, candidates[i])
		found = true
		f.parts[k] = append(f.parts[k], func(dst []byte, e tickstorm.Event) []byte { return appendPlain(dst, c.Value(e)) })
	}
	return found
}

func (*template) Header() string { return "" }

func (f *template) Append(dst []byte, e tickstorm.Event) []byte {
	for _, c := range f.parts[e.Kind()] {
		dst = c(dst, e)
	}
	return dst
}

// appendText appends a text on one line, without what terminals take for commands.
func appendText[T string | []byte](dst []byte, text T) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == 0x7F || c == 0xC2 && i+1 < len(text) && text[i+1] < 0xA0 {
			return appendTextSlow(dst, string(text))
		}
	}
	return append(dst, text...)
}

func appendTextSlow(dst []byte, text string) []byte {
	for _, r := range text {
		if unicode.IsControl(r) {
			r = utf8.RuneError
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// appendPlain appends a value without the quotes that CSV demands.
func appendPlain(dst []byte, value any) []byte {
	switch v := value.(type) {
	case *string:
		return appendText(dst, *v)
	case *[]byte:
		return appendText(dst, *v)
	case *tickstorm.Auction:
		return append(dst, v.String()...)
	}
	at := len(dst)
	dst = record.AppendCell(dst, value)
	if n := len(dst); n > at+1 && dst[at] == '"' { // a list of numbers, with nothing in it to escape
		copy(dst[at:], dst[at+1:n-1])
		dst = dst[:n-2]
	}
	return dst
}
