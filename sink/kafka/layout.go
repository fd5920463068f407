package kafka

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"regexp"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
)

// MaxPartitions is the most that a [Layout] may have.
const MaxPartitions = 1024

// maxTopicName is the length that Kafka allows.
const maxTopicName = 249

// Layout says which topics rows have. Sink and consumers must have the same.
//
// The topic of an element is <prefix>.<market>.<channel>, such as md.stocks.T, and its key is the
// symbol; that of a [sink.Notice] is <prefix>.<market>.notice, and that of what is no event
// <prefix>.<market>._ . Tokens are escaped by [Escape].
type Layout struct {
	// Prefix is what topics begin with; default "md". It may have dots.
	Prefix string
	// Partitions is how many partitions each topic has; default 8. A topic that has another number
	// is refused: symbols would change their partitions, and lose their order.
	Partitions int
}

var legalPrefix = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

func (l Layout) withDefaults() (Layout, error) {
	l.Prefix = cmp.Or(l.Prefix, "md")
	l.Partitions = cmp.Or(l.Partitions, 8)
	if !legalPrefix.MatchString(l.Prefix) || len(l.Prefix) > maxTopicName/3 {
		return l, fmt.Errorf("kafka: a Prefix of %q", l.Prefix)
	}
	if l.Partitions < 1 || l.Partitions > MaxPartitions {
		return l, fmt.Errorf("kafka: %d Partitions; there can be 1 to %d", l.Partitions, MaxPartitions)
	}
	return l, nil
}

// What stands for a channel in the topic of notices, which no channel of the vendor's is called, and
// in that of what is no event.
const (
	noticeToken = "notice"
	brokenToken = "_"
)

// market is what all topics of a market begin with.
func (l Layout) market(m tickstorm.Market) string {
	return l.Prefix + "." + Escape(strings.ReplaceAll(string(m), "/", "-")) + "."
}

// Topic is the topic of a market's channel, such as md.stocks.T; that of what has no channel if it is
// "". A name that would be longer than Kafka's 249 bytes is cut, and ends with _h and a hash.
func (l Layout) Topic(m tickstorm.Market, channel string) string {
	token := Escape(channel)
	if token == noticeToken {
		token = "_6Eotice"
	}
	name := l.market(m) + token
	if len(name) <= maxTopicName {
		return name
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return fmt.Sprintf("%s_h%016x", name[:maxTopicName-len("_h")-16], h.Sum64())
}

// NoticeTopic is the topic of a market's notices, such as md.stocks.notice.
func (l Layout) NoticeTopic(m tickstorm.Market) string { return l.market(m) + noticeToken }

// pattern is a regular expression for the topics of some channels, of all if there are none.
func (l Layout) pattern(m tickstorm.Market, channels []string) string {
	if len(channels) == 0 {
		return "^" + regexp.QuoteMeta(l.market(m)) + "[^.]+$"
	}
	topics := []string{regexp.QuoteMeta(l.NoticeTopic(m))}
	for _, c := range channels {
		topics = append(topics, regexp.QuoteMeta(l.Topic(m, c)))
	}
	return "^(" + strings.Join(topics, "|") + ")$"
}

// Lane is a topic's partition's name among the watermarks, such as md.stocks.T/3.
func (l Layout) Lane(topic string, partition int) string {
	return topic + "/" + strconv.Itoa(partition)
}

// Partition is the partition of a symbol: that of Kafka's own clients for its bytes as the key. What
// has no symbol is in the first.
func (l Layout) Partition(symbol string) int {
	if symbol == "" || l.Partitions <= 1 {
		return 0
	}
	return byKey.Partition(&kgo.Record{Key: []byte(symbol)}, l.Partitions)
}

// byKey has no state as long as there is a key.
var byKey = kgo.StickyKeyPartitioner(nil).ForTopic("")

// Escape makes one token of a text: what a topic's name may not have, dots and underscores become _2E
// and so on; no text at all becomes _.
func Escape(text string) string {
	if text == "" {
		return brokenToken
	}
	var b strings.Builder
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "_%02X", c)
		}
	}
	return b.String()
}

// form is how a topic's records are told to a [sink.Lane].
type form uint8

const (
	formEvent form = iota
	formBroken
	formNotice
)

func formOf(topic string) form {
	switch topic[strings.LastIndexByte(topic, '.')+1:] {
	case noticeToken:
		return formNotice
	case brokenToken:
		return formBroken
	}
	return formEvent
}

// StampHeader is the header that has a record's [sink.Stamp]: "<id> <receive time>". The value is the
// element as it came, or the notice's JSON, and nothing else.
const StampHeader = "Ts-Id"

func stampOf(r *kgo.Record) string {
	for i := range r.Headers {
		if r.Headers[i].Key == StampHeader {
			return string(r.Headers[i].Value)
		}
	}
	return ""
}

// tell gives a record to a lane.
func tell(l *sink.Lane, f form, r *kgo.Record) error {
	stamp := stampOf(r)
	switch f {
	case formNotice:
		return l.Notice(stamp, r.Value)
	case formBroken:
		return l.Broken(stamp, r.Value)
	}
	return l.Event(stamp, r.Value)
}
