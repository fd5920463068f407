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

// part is so many messages as an outlet would have taken a few of together.
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
//   - ns/delivery is the difference, by how many clients wanted each event.
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
			{"filtered", 100, func(i int) []tickstorm.Topic { return dealt(topics, i) }},
			{"filtered10", 1000, func(i int) []tickstorm.Topic { return dealt(topics, i) }},
			{"whole", 10, func(int) []tickstorm.Topic { return everything(c.Market) }},
			{"trades", 10, func(int) []tickstorm.Topic { return everything(c.Market)[:1] }},
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
				deliveries := func() (n uint64) {
					for _, o := range outlets {
						n += o.Stats().Events
					}
					return n
				}
				contest := &bench.Contest{Sides: []func(int) (float64, error){
					func(int) (float64, error) {
						var took time.Duration
						for some := range slices.Chunk(c.Messages, part) {
							start := time.Now()
							for _, m := range some {
								h.Message(m, 1)
							}
							took += time.Since(start)
							for _, o := range outlets {
								o.Drain(&batch)
							}
						}
						return float64(c.Events) / took.Seconds(), nil
					},
					func(int) (float64, error) {
						var took time.Duration
						for some := range slices.Chunk(c.Messages, part) {
							start := time.Now()
							for _, m := range some {
								for s.Reset(m); s.Next(); {
								}
							}
							took += time.Since(start)
						}
						return float64(c.Events) / took.Seconds(), nil
					},
				}}
				if err := contest.Round(); err != nil { // whose memory grows
					b.Fatal(err)
				}
				each := float64(deliveries()) / float64(c.Events)
				before := mallocs()
				rounds := 0
				for b.Loop() {
					if err := contest.Round(); err != nil {
						b.Fatal(err)
					}
					rounds++
				}
				allocs := mallocs() - before
				whole, split := 1e9/contest.Rate(0), 1e9/contest.Rate(1)
				b.ReportMetric(whole, "ns/event")
				b.ReportMetric(split, "ns/event-split")
				b.ReportMetric((whole-split)/each, "ns/delivery")
				b.ReportMetric(each, "clients/event")
				b.ReportMetric(float64(allocs)/float64(rounds*c.Events), "allocs/event")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
