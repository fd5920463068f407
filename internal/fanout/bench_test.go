package fanout_test

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/bench"
	"github.com/tickstorm/tickstorm/internal/fanout"
)

// part is how many messages of 20 events there are between two looks at the outlets.
const part = 64

// topicsOf returns the topics that a corpus has events of, in the order of their names.
func topicsOf(b *testing.B, c *bench.Corpus) []tickstorm.Topic {
	has := map[tickstorm.Topic]bool{}
	s := tickstorm.NewSplitter(c.Market)
	for _, m := range c.Messages {
		for s.Reset(m); s.Next(); {
			if e := s.Element(); e.Symbol != nil {
				has[tickstorm.Topic{Channel: e.Channel, Symbol: string(e.Symbol)}] = true
			}
		}
	}
	topics := make([]tickstorm.Topic, 0, len(has))
	for t := range has {
		topics = append(topics, t)
	}
	slices.SortFunc(topics, func(x, y tickstorm.Topic) int {
		if x.String() < y.String() {
			return -1
		}
		return 1
	})
	return topics
}

// everything is all topics of a market.
func everything(m tickstorm.Market) (topics []tickstorm.Topic) {
	for _, s := range m.Streams() {
		channel, _ := m.Channel(s)
		topics = append(topics, tickstorm.Topic{Channel: channel, Symbol: tickstorm.All})
	}
	return topics
}

// dealt gives each of n outlets a part of the topics, of all that there are one in 100.
func dealt(topics []tickstorm.Topic, client int) (own []tickstorm.Topic) {
	for i := client % 100; i < len(topics); i += 100 {
		own = append(own, topics[i])
	}
	return own
}

// BenchmarkRoute is the way of messages into the queues of those who want them, without system calls:
//
//   - ns/event is a Hub's time for an event that came, and ns/event-split that of a Splitter alone.
//   - ns/found is what it takes beyond that to find who wants an event, and ns/queued to put it into
//     a queue, by how many clients want it.
func BenchmarkRoute(b *testing.B) {
	for _, corpus := range []string{"stocks1", "stocks20", "stocks400", "options20"} {
		c, err := bench.Load(corpus)
		if err != nil {
			b.Fatal(err)
		}
		topics := topicsOf(b, c)
		for _, kind := range []struct {
			name    string
			clients int
			topics  func(client int) []tickstorm.Topic
		}{
			{"filtered100", 100, func(i int) []tickstorm.Topic { return dealt(topics, i) }},
			{"filtered1000", 1000, func(i int) []tickstorm.Topic { return dealt(topics, i) }},
			{"whole10", 10, func(int) []tickstorm.Topic { return everything(c.Market) }},
			{"trades10", 10, func(int) []tickstorm.Topic { return everything(c.Market)[:1] }},
		} {
			b.Run(corpus+"/"+kind.name, func(b *testing.B) {
				h := fanout.New(fanout.Config{Market: c.Market})
				var outlets []*fanout.Outlet
				for i := range kind.clients {
					o := h.Inert(fanout.OutletConfig{Bytes: 16 << 20})
					o.Subscribe(kind.topics(i)...)
					outlets = append(outlets, o)
				}
				s := tickstorm.NewSplitter(c.Market)
				var batch fanout.Batch
				side := func(message func([]byte)) func(int) (float64, error) {
					return func(int) (float64, error) {
						var took time.Duration
						for some := range slices.Chunk(c.Messages, max(1, part*20*len(c.Messages)/c.Events)) {
							start := time.Now()
							for _, m := range some {
								message(m)
							}
							took += time.Since(start)
							for _, o := range outlets {
								o.Drain(&batch)
							}
						}
						return float64(c.Events) / took.Seconds(), nil
					}
				}
				contest := &bench.Contest{Sides: []func(int) (float64, error){
					side(func(m []byte) { h.Message(m, 1) }),
					side(h.Find),
					side(func(m []byte) {
						for s.Reset(m); s.Next(); {
						}
					}),
				}}
				if err := contest.Round(); err != nil { // whose memory grows
					b.Fatal(err)
				}
				each := 0.0
				for _, o := range outlets {
					each += float64(o.Stats().Events) / float64(c.Events)
				}
				before := mallocs()
				compete(b, contest)
				allocs := mallocs() - before
				whole, find, split := 1e9/contest.Rate(0), 1e9/contest.Rate(1), 1e9/contest.Rate(2)
				b.ReportMetric(whole, "ns/event")
				b.ReportMetric(split, "ns/event-split")
				b.ReportMetric((find-split)/each, "ns/found")
				b.ReportMetric((whole-find)/each, "ns/queued")
				b.ReportMetric(each, "clients/event")
				b.ReportMetric(float64(allocs)/float64(contest.Rounds()*c.Events), "allocs/event")
			})
		}
	}
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
