package nats

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
)

// MaxPartitions is the most that a [Layout] may have.
const MaxPartitions = 256

// Layout says which subjects rows have and which streams keep them. Sink and consumers must have
// the same.
//
// The subject of an element is <prefix>.<market>.<channel>.<symbol>, such as md.stocks.T.BRK%2EB;
// in the market of options the underlying is a token before the contract:
// md.options.T.AAPL.O:AAPL251219C00150000. That of a [sink.Notice] is
// <prefix>.<market>.notice.<kind>. Tokens are escaped by [Escape].
//
// With several partitions each of these has one more token, such as 3of8, by the symbol, and each
// partition is a stream of its own. A stream's messages go through one leader and are consumed in
// one order: partitions are what more machines share, while each symbol stays in its order. The
// sink puts that token there itself: a stream per partition needs it in the subject, and a consumer
// of one stream that filters for its share is several times slower than one that takes all.
type Layout struct {
	// Prefix is the first token; default "md".
	Prefix string
	// Partitions is how many streams a market has; default 1. With another number everything
	// begins anew, in other streams.
	Partitions int
}

func (l Layout) withDefaults() (Layout, error) {
	l.Prefix = cmp.Or(l.Prefix, "md")
	l.Partitions = cmp.Or(l.Partitions, 1)
	if Escape(l.Prefix) != l.Prefix || strings.ContainsAny(l.Prefix, `/\`) {
		return l, fmt.Errorf("nats: a Prefix of %q", l.Prefix)
	}
	if l.Partitions < 1 || l.Partitions > MaxPartitions {
		return l, fmt.Errorf("nats: %d Partitions; there can be 1 to %d", l.Partitions, MaxPartitions)
	}
	return l, nil
}

// marketToken is a market as a token and as part of a stream's name.
func marketToken(m tickstorm.Market) string {
	return strings.NewReplacer("/", "-", `\`, "%5C").Replace(Escape(string(m)))
}

// part names a partition; "" if there is one only.
func (l Layout) part(p int) string {
	if l.Partitions == 1 {
		return ""
	}
	return strconv.Itoa(p) + "of" + strconv.Itoa(l.Partitions)
}

// Stream is the name of the stream that keeps a partition of a market, such as md_stocks_3of8.
func (l Layout) Stream(m tickstorm.Market, partition int) string {
	name := l.Prefix + "_" + marketToken(m)
	if part := l.part(partition); part != "" {
		name += "_" + part
	}
	return name
}

// Lane is a partition's name among the watermarks, such as stocks.3of8.
func (l Layout) Lane(m tickstorm.Market, partition int) string {
	return marketToken(m) + "." + strconv.Itoa(partition) + "of" + strconv.Itoa(max(1, l.Partitions))
}

// Subjects are those of that stream.
func (l Layout) Subjects(m tickstorm.Market, partition int) []string {
	market := l.Prefix + "." + marketToken(m)
	part := l.part(partition)
	if part != "" {
		part = "." + part
	}
	if hasUnderlying(m) {
		return []string{market + ".*.*.*" + part, market + "." + noticeToken + ".*" + part}
	}
	return []string{market + ".*.*" + part}
}

// Partition is the partition of a symbol: FNV-1a of its bytes in 32 bits, the upper half folded into
// the lower, modulo the number of partitions. What has no symbol is in the first.
func (l Layout) Partition(symbol string) int {
	if symbol == "" || l.Partitions <= 1 {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(symbol)) // never fails
	sum := h.Sum32()
	return int((sum ^ sum>>16) % uint32(l.Partitions))
}

// noticeToken is the channel of notices, which no channel of the vendor's is called.
const noticeToken = "notice"

// Subject is the subject of a row, in a partition.
func (l Layout) Subject(r *sink.Row, partition int) string {
	var b strings.Builder
	b.WriteString(l.Prefix)
	token := func(text string) {
		b.WriteByte('.')
		b.WriteString(text)
	}
	token(marketToken(r.Market))
	switch {
	case r.Notice != nil:
		token(noticeToken)
		token(Escape(string(r.Notice.Kind)))
	default:
		channel := Escape(r.Channel)
		if channel == noticeToken {
			channel = "%6Eotice"
		}
		token(channel)
		if hasUnderlying(r.Market) {
			token(Escape(underlying(r.Symbol)))
		}
		token(Escape(r.Symbol))
	}
	if part := l.part(partition); part != "" {
		token(part)
	}
	return b.String()
}

func hasUnderlying(m tickstorm.Market) bool { return m == tickstorm.Options }

// underlying is what a contract is on: O:AAPL251219C00150000 without its 15 last characters, which
// are date, right and strike.
func underlying(contract string) string {
	const tail = 15
	name, ok := strings.CutPrefix(contract, "O:")
	if !ok || len(name) <= tail {
		return ""
	}
	return name[:len(name)-tail]
}

// emptyToken stands for a text without a byte.
const emptyToken = "%"

const hex = "0123456789ABCDEF"

// escaped reports whether a byte has a meaning in subjects, or may have none in them.
func escaped(c byte) bool {
	return c <= ' ' || c == 0x7f || c == '.' || c == '*' || c == '>' || c == '%'
}

// Escape makes one token of a text: dots, percent signs, wildcards, spaces and control characters
// become %2E and so on; no text at all becomes %.
func Escape(text string) string {
	if text == "" {
		return emptyToken
	}
	n := 0
	for i := range len(text) {
		if escaped(text[i]) {
			n++
		}
	}
	if n == 0 {
		return text
	}
	b := make([]byte, 0, len(text)+2*n)
	for i := range len(text) {
		c := text[i]
		if escaped(c) {
			b = append(b, '%', hex[c>>4], hex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}

// ErrToken: a token is none that Escape makes.
var ErrToken = errors.New("nats: not an escaped token")

// Unescape is the text that Escape made a token of. The error is an [ErrToken].
func Unescape(token string) (string, error) {
	if token == emptyToken {
		return "", nil
	}
	var b []byte
	for i := 0; i < len(token); i++ {
		c := token[i]
		if c == '%' {
			if i+2 >= len(token) {
				return "", fmt.Errorf("%w: %q", ErrToken, token)
			}
			v, err := strconv.ParseUint(token[i+1:i+3], 16, 8)
			if err != nil {
				return "", fmt.Errorf("%w: %q", ErrToken, token)
			}
			c, i = byte(v), i+2
		} else if escaped(c) {
			return "", fmt.Errorf("%w: %q", ErrToken, token)
		}
		b = append(b, c)
	}
	if len(b) == 0 {
		return "", fmt.Errorf("%w: %q", ErrToken, token)
	}
	return string(b), nil
}
