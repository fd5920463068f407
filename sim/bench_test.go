package sim_test

import (
	"context"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/frame"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// BenchmarkGenerator makes messages of 20 events of everything that a market has, at 450,000
// events a second of its time.
func BenchmarkGenerator(b *testing.B) {
	for _, m := range []tickstorm.Market{tickstorm.Stocks, tickstorm.Options, tickstorm.Forex, tickstorm.Crypto, tickstorm.Futures} {
		b.Run(string(m), func(b *testing.B) {
			g := fixture.Generator(b, m, 1)
			var buf []byte
			now := noon
			b.ReportAllocs()
			for n := 0; n < b.N; n += 20 {
				buf = g.AppendMessage(buf[:0], now, 20)
				now = now.Add(20 * time.Second / 450_000)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkServer drains a server over loopback that sends as fast as it can: what it generates, and
// a recording of that.
func BenchmarkServer(b *testing.B) {
	recording, err := sim.Corpus("stocks20", 200_000, 1)
	if err != nil {
		b.Fatal(err)
	}
	looped := sim.ReplayMessages(recording, 0)
	looped.Loop = true
	b.Run("generated", func(b *testing.B) {
		benchmarkServer(b, sim.Config{Rate: -1, Batch: [2]int{20, 20}}, "T.*,Q.*,A.*,AM.*")
	})
	b.Run("replayed", func(b *testing.B) { benchmarkServer(b, sim.Config{Replay: looped}, "T.*,Q.*,A.*,AM.*") })
	b.Run("replayed in part", func(b *testing.B) { benchmarkServer(b, sim.Config{Replay: looped}, "Q.*") })
}

func benchmarkServer(b *testing.B, cfg sim.Config, topics string) {
	s, err := sim.Start(cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	nc, err := net.Dial("tcp", strings.TrimPrefix(string(s.Feed()), "ws://"))
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	feed, err := url.Parse(string(s.Feed()))
	if err != nil {
		b.Fatal(err)
	}
	d := ws.Dialer{}
	if _, _, err := d.Upgrade(nc, feed.JoinPath("stocks")); err != nil {
		b.Fatal(err)
	}
	f := frame.New(frame.Config{}, &client{})
	_ = f.Send(ws.OpText, []byte(`{"action":"auth","params":"k"}`))
	_ = f.Send(ws.OpText, []byte(subscribe(topics)))
	if _, err := nc.Write(f.Outgoing()); err != nil {
		b.Fatal(err)
	}
	if err := s.Await(context.Background(), func(st sim.Stats) bool { return st.Events > 0 }); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 1<<20)
	b.ResetTimer()
	for s.Stats().Events < int64(b.N) {
		if _, err := nc.Read(buf); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
