package faults_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// TestFaultsAcks: whatever becomes of the acknowledgements, events are delivered, and the
// client says what it knows.
func TestFaultsAcks(t *testing.T) {
	const subscribed = "subscribed to: "
	for _, tc := range []struct {
		name string
		say  func(say func(status, message string)) // what the server answers
		want tickstorm.StateChange                  // of it, the outcome
	}{
		{"lost", func(func(_, _ string)) {}, tickstorm.StateChange{Pending: fixture.Topics(t, "T.A,T.B,Q.A")}},
		{"some lost", func(say func(_, _ string)) {
			say("success", subscribed+"T.B")
		}, tickstorm.StateChange{Acked: 1, Pending: fixture.Topics(t, "T.A,Q.A")}},
		{"late", func(say func(_, _ string)) {
			time.Sleep(9 * time.Second)
			for _, topic := range []string{"T.A", "T.B", "Q.A"} {
				say("success", subscribed+topic)
			}
		}, tickstorm.StateChange{Acked: 3}},
		{"too late", func(say func(_, _ string)) {
			time.Sleep(11 * time.Second)
			for _, topic := range []string{"T.A", "T.B", "Q.A"} {
				say("success", subscribed+topic)
			}
		}, tickstorm.StateChange{Pending: fixture.Topics(t, "T.A,T.B,Q.A")}},
		{"reordered", func(say func(_, _ string)) {
			for _, topic := range []string{"Q.A", "T.B", "T.A"} {
				say("success", subscribed+topic)
			}
		}, tickstorm.StateChange{Acked: 3}},
		{"duplicated", func(say func(_, _ string)) {
			for _, topic := range []string{"T.A", "T.A", "T.B", "T.A", "Q.A", "Q.A"} {
				say("success", subscribed+topic)
			}
		}, tickstorm.StateChange{Acked: 3}},
		{"of something else", func(say func(_, _ string)) {
			for _, topic := range []string{"T.Z", "T.A", "AM.A", "T.B", "nonsense", "Q.A"} {
				say("success", subscribed+topic)
			}
		}, tickstorm.StateChange{Acked: 3}},
		{"refused, the rest twice", func(say func(_, _ string)) {
			say("error", "not authorized")
			for _, topic := range []string{"T.A", "T.B", "T.A", "T.B"} {
				say("success", subscribed+topic)
			}
		}, tickstorm.StateChange{Acked: 2, Refused: fixture.Topics(t, "Q.A")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			overQueues(t, func(t *testing.T, queue tickstorm.QueueConfig) {
				fixture.InBubble(t, sim.Config{Quiet: true, Acks: sim.AckNothing}, func(t *testing.T, server *sim.Server) {
					cfg := server.ClientConfig(tickstorm.Stocks)
					cfg.Queue = queue
					audit := new(auditor)
					c := fixture.NewClient(t, cfg, audit)
					require.NoError(t, c.SubscribeTopics(t.Context(), fixture.Topics(t, "T.A,T.B,Q.A")...))
					running := fixture.Runs(t.Context(), c)
					number := 0
					for n := 1; n <= 3; n++ { // the third time round as well as the first
						fixture.Settled(t, server, n, len(c.Topics()))
						conn := server.Conns()[0]
						tc.say(func(status, message string) {
							if status != "error" || n == 1 { // what was refused is not asked for again
								require.NoError(t, conn.SendStatus(status, message))
							}
						})
						time.Sleep(20 * time.Second)
						require.Equal(t, tickstorm.StateStreaming, c.State())
						if n == 1 {
							change := audit.last(tickstorm.StateStreaming)
							require.Equal(t, tc.want.Acked, change.Acked)
							require.Equal(t, fixture.Listed(tc.want.Pending), fixture.Listed(change.Pending))
							require.Equal(t, fixture.Listed(tc.want.Refused), fixture.Listed(change.Refused))
						}
						for range 10 {
							number++
							require.NoError(t, conn.Send(serialTrade(number)))
						}
						synctest.Wait()
						number++ // one that nobody gets
						conn.Cut()
					}
					fixture.Settled(t, server, 4, len(c.Topics()))
					report := audit.Report()
					require.NoError(t, report.Err())
					require.EqualValues(t, 30, report.Events)
					require.EqualValues(t, 2, report.InGaps)
					require.NoError(t, c.Close())
					require.NoError(t, <-running)
				})
			})
		})
	}
}

// last returns the last change to a state.
func (a *auditor) last(state tickstorm.State) tickstorm.StateChange {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := len(a.states) - 1; i >= 0; i-- {
		if a.states[i].State == state {
			return a.states[i]
		}
	}
	return tickstorm.StateChange{}
}

func serialTrade(number int) []byte {
	return fmt.Appendf(nil, `[{"ev":"T","sym":"A","q":%d}]`, number)
}

// TestFaultsManyTopics: 10,000 symbols, and connections that break while they are asked
// for again.
func TestFaultsManyTopics(t *testing.T) {
	holdsHeap(t)
	const symbols, chunks = 10_000, 50
	var wanted []tickstorm.Topic
	for i := range symbols - 2 {
		wanted = append(wanted, tickstorm.Topic{Channel: "T", Symbol: fmt.Sprintf("S%04d", i)})
	}
	wanted = append(wanted, fixture.Topics(t, "T.AAPL,Q.MSFT")...) // these have data
	rand.New(rand.NewPCG(1, 1)).Shuffle(symbols, func(i, j int) { wanted[i], wanted[j] = wanted[j], wanted[i] })
	for _, do := range []sim.Action{sim.Cut(), sim.Close(1001, "")} {
		t.Run(do.String(), func(t *testing.T) {
			overQueues(t, func(t *testing.T, queue tickstorm.QueueConfig) {
				fixture.InBubble(t, sim.Config{Numbered: true, Rate: 200}, func(t *testing.T, server *sim.Server) {
					r := newRig(t, server, queue)
					require.NoError(t, r.client.SetTopics(t.Context(), wanted...))
					r.start()
					opened := 1
					whole := func(s sim.Stats) bool { return s.Opened == opened && s.Topics == symbols }
					require.NoError(t, server.Await(t.Context(), whole))
					r.flows(50)
					for _, requests := range []int{1, chunks / 2, chunks - 1} {
						server.Conns()[0].Do(do)
						opened++
						base := server.Stats().Requests
						require.NoError(t, server.Await(t.Context(), func(s sim.Stats) bool { return s.Opened == opened && s.Requests > base+requests }))
						server.Conns()[len(server.Conns())-1].Do(do) // in the middle of it
						opened++
						require.NoError(t, server.Await(t.Context(), whole))
						r.flows(50)
					}
					stats := r.client.Stats()
					require.Equal(t, symbols, stats.AckedTopics)
					require.Zero(t, stats.PendingTopics)
					require.EqualValues(t, opened-1, stats.Reconnects)
					for _, request := range server.Conns()[0].Requests() {
						require.LessOrEqual(t, strings.Count(request, ","), 200)
					}
					gaps, _ := r.audit.told()
					for _, g := range gaps {
						require.NotEmpty(t, g.Topics)
					}
					r.finish()
				})
			})
		})
	}
}
