package fanout_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/bench"
	"github.com/tickstorm/tickstorm/internal/dialogue"
	"github.com/tickstorm/tickstorm/internal/fanout"
)

// readers returns n connections to a process that reads all that comes.
func readers(b *testing.B, n int) []net.Conn {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), drainAddress+"="+l.Addr().String(), drainCount+"="+strconv.Itoa(n))
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	var conns []net.Conn
	for range n {
		conn, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		conns = append(conns, conn)
	}
	b.Cleanup(func() {
		for _, conn := range conns {
			conn.Close()
		}
		_ = c.Wait()
	})
	return conns
}

// filtered returns for each client and message the frame that it gets, nil for none.
func filtered(c *bench.Corpus, clients int, topics func(int) []tickstorm.Topic) [][][]byte {
	holders := map[tickstorm.Topic][]int{}
	for i := range clients {
		for _, t := range topics(i) {
			holders[t] = append(holders[t], i)
		}
	}
	all := make([][][]byte, clients)
	s := tickstorm.NewSplitter(c.Market)
	for at, m := range c.Messages {
		own := map[int][]byte{}
		for s.Reset(m); s.Next(); {
			e := s.Element()
			wild := holders[tickstorm.Topic{Channel: e.Channel, Symbol: tickstorm.All}]
			for _, i := range append(wild[:len(wild):len(wild)], holders[tickstorm.Topic{Channel: e.Channel, Symbol: string(e.Symbol)}]...) {
				own[i] = append(append(own[i], ','), m[e.Start:e.End]...)
			}
		}
		for i, b := range own {
			if all[i] == nil {
				all[i] = make([][]byte, len(c.Messages))
			}
			b[0] = '['
			all[i][at] = dialogue.AppendFrame(nil, ws.OpText, append(b, ']'))
		}
	}
	return all
}

// perSecond is the rate of the feed that the paced benchmarks have.
const perSecond = 450_000

// BenchmarkWrite is a Hub with outlets on sockets beside a loop that writes the same bytes to the
// same sockets, message by message, which another process reads. hub/loop is how many bytes
// a second of processor time the one writes, over the other: as fast as they can, and in
// the paced forms at 450,000 events a second, which come each millisecond.
func BenchmarkWrite(b *testing.B) {
	c, err := bench.Load("stocks20")
	if err != nil {
		b.Fatal(err)
	}
	topics := topicsOf(b, c)
	for _, kind := range []struct {
		name    string
		clients int
		topics  func(client int) []tickstorm.Topic
	}{
		{"whole", 1, func(int) []tickstorm.Topic { return everything(c.Market) }},
		{"whole", 10, func(int) []tickstorm.Topic { return everything(c.Market) }},
		{"filtered", 100, func(i int) []tickstorm.Topic { return dealt(topics, i) }},
	} {
		for _, pace := range []string{"flood", "paced"} {
			b.Run(fmt.Sprintf("%s/%d/%s", kind.name, kind.clients, pace), func(b *testing.B) {
				if _, ok := cpuTime(); !ok {
					b.Skip("processor time is not known here")
				}
				conns := readers(b, kind.clients)
				frames := filtered(c, kind.clients, kind.topics)
				size := 0
				for _, own := range frames {
					for _, f := range own {
						size += len(f)
					}
				}
				// paced calls f for each message, as they come.
				paced := func(f func(at int)) {
					start, each := time.Now(), time.Second*time.Duration(c.Events)/perSecond/time.Duration(len(c.Messages))
					for at := range c.Messages {
						if pace == "paced" && at%22 == 0 {
							time.Sleep(time.Until(start.Add(time.Duration(at) * each)))
						}
						f(at)
					}
				}
				var writes, rounds uint64
				perCPU := func(f func()) (float64, error) {
					before, _ := cpuTime()
					f()
					after, _ := cpuTime()
					return float64(size) / (after - before).Seconds(), nil
				}
				contest := &bench.Contest{Sides: []func(int) (float64, error){
					func(int) (float64, error) {
						h := fanout.New(fanout.Config{Market: c.Market})
						var outlets []*fanout.Outlet
						for i, conn := range conns {
							o := h.Join(conn, fanout.OutletConfig{Bytes: 16 << 20, Overflow: tickstorm.OverflowDisconnect})
							o.Subscribe(kind.topics(i)...)
							outlets = append(outlets, o)
						}
						rate, err := perCPU(func() {
							paced(func(at int) {
								h.Message(c.Messages[at], 1)
								if at%part == 0 {
									wait(outlets, 1<<20)
								}
							})
							wait(outlets, 0)
						})
						for _, o := range outlets {
							st := o.Stats()
							writes += st.Writes
							if st.Dropped > 0 {
								b.Fatal("dropped")
							}
							o.Cut()
							<-o.Done()
						}
						for _, conn := range conns {
							if err := conn.SetWriteDeadline(time.Time{}); err != nil {
								b.Fatal(err)
							}
						}
						rounds++
						return rate, err
					},
					func(int) (float64, error) {
						return perCPU(func() {
							paced(func(at int) {
								for i, conn := range conns {
									if own := frames[i]; own != nil && own[at] != nil {
										if _, err := conn.Write(own[at]); err != nil {
											b.Fatal(err)
										}
									}
								}
							})
						})
					},
				}}
				compete(b, contest)
				b.ReportMetric(contest.Ratio(0, 1), "hub/loop")
				b.ReportMetric(contest.Rate(0)/1e6, "MB/cpu-s")
				b.ReportMetric(contest.Rate(1)/1e6, "MB/cpu-s-loop")
				b.ReportMetric(float64(writes)/float64(rounds)/float64(len(c.Messages)*kind.clients), "writes/message")
			})
		}
	}
}

// wait waits until no outlet has more bytes waiting than the limit.
func wait(outlets []*fanout.Outlet, limit int) {
	for _, o := range outlets {
		for o.Backlog() > limit {
			time.Sleep(50 * time.Microsecond)
		}
	}
}

func compete(b *testing.B, c *bench.Contest) {
	for b.Loop() {
		if err := c.Round(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkSlices is what two ways cost to write n elements of a message to a socket, in processor
// time: copied one behind the other, and as slices of where they stand.
func BenchmarkSlices(b *testing.B) {
	c, err := bench.Load("stocks20")
	if err != nil {
		b.Fatal(err)
	}
	var all [][]byte
	s := tickstorm.NewSplitter(c.Market)
	for _, m := range c.Messages {
		for s.Reset(m); s.Next(); {
			all = append(all, m[s.Element().Start:s.Element().End])
		}
	}
	for _, n := range []int{1, 2, 5, 20} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			if _, ok := cpuTime(); !ok {
				b.Skip("processor time is not known here")
			}
			conn := readers(b, 1)[0]
			perCPU := func(f func(some [][]byte) error) (float64, error) {
				before, _ := cpuTime()
				for some := range slices.Chunk(all[:20_000], n) {
					if err := f(some); err != nil {
						return 0, err
					}
				}
				after, _ := cpuTime()
				return 20_000 / (after - before).Seconds(), nil
			}
			var copied []byte
			var parts net.Buffers
			memory := make([][]byte, 2*n+1)
			header, between, closing := []byte{0x81, 126, 0, 0, '['}, []byte{','}, []byte{']'}
			contest := &bench.Contest{Sides: []func(int) (float64, error){
				func(int) (float64, error) {
					return perCPU(func(some [][]byte) error {
						copied = append(copied[:0], header...)
						for _, e := range some {
							copied = append(append(copied, e...), ',')
						}
						_, err := conn.Write(copied)
						return err
					})
				},
				func(int) (float64, error) {
					return perCPU(func(some [][]byte) error {
						parts = append(memory[:0], header)
						for _, e := range some {
							parts = append(parts, e, between)
						}
						parts[len(parts)-1] = closing
						_, err := parts.WriteTo(conn)
						return err
					})
				},
			}}
			compete(b, contest)
			b.ReportMetric(contest.Ratio(0, 1), "copied/sliced")
			b.ReportMetric(1e9/contest.Rate(0), "ns/event-copied")
			b.ReportMetric(1e9/contest.Rate(1), "ns/event-sliced")
		})
	}
}
