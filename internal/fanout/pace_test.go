package fanout_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fanout"
)

// paced is a listener that knows when things came.
type paced struct {
	conn *sink
	out  *fanout.Outlet
	came map[string][]arrival
}

type arrival struct {
	serial int
	at     time.Time
}

func (p *paced) read(t testing.TB) {
	for _, msg := range p.conn.written(t) {
		for _, e := range elements(t, msg) {
			var w wire
			require.NoError(t, json.Unmarshal([]byte(e), &w))
			p.came[w.Ev+"."+w.Sym] = append(p.came[w.Ev+"."+w.Sym], arrival{w.Serial, time.Now()})
		}
	}
}

// TestPace: under Every each symbol's quotes come at most as often, the last always does, and
// trades come as they come, in every policy.
func TestPace(t *testing.T) {
	const every = 250 * time.Millisecond
	for _, policy := range modelPolicies {
		t.Run(policy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := fanout.New(fanout.Config{Market: tickstorm.Stocks})
				p := &paced{conn: newSink(), came: map[string][]arrival{}}
				p.out = h.Join(p.conn, fanout.OutletConfig{Every: every, Overflow: policy})
				p.out.Subscribe(topics("T.*", "Q.*", "A.S1")...)
				rnd := rand.New(rand.NewPCG(1, 1))
				sent := map[string]int{}
				trades := 0
				for range 3000 {
					ev, sym := []string{"T", "Q", "A"}[rnd.IntN(3)], fmt.Sprintf("S%d", rnd.IntN(20))
					key := ev + "." + sym
					sent[key]++
					h.Message(fmt.Appendf(nil, `[{"ev":%q,"sym":%q,"n":%d}]`, ev, sym, sent[key]), time.Now().UnixNano())
					if ev == "T" {
						trades++
					}
					synctest.Wait()
					p.read(t)
					if ev == "T" {
						last := p.came[key][len(p.came[key])-1]
						require.Equal(t, arrival{sent[key], time.Now()}, last, "a trade waits for nothing")
					}
					for range rnd.IntN(40) {
						time.Sleep(time.Millisecond)
						synctest.Wait()
						p.read(t)
					}
				}
				time.Sleep(2 * every)
				synctest.Wait()
				p.read(t)
				written := 0
				for key, n := range sent {
					came := p.came[key]
					written += len(came)
					if key[0] == 'A' && key != "A.S1" {
						require.Empty(t, came)
						continue
					}
					require.Equal(t, n, came[len(came)-1].serial, "the last one of %s", key)
					for i, c := range came[1:] {
						require.Less(t, came[i].serial, c.serial)
						if key[0] != 'T' {
							require.GreaterOrEqual(t, c.at.Sub(came[i].at), every, key)
						}
					}
					if key[0] == 'T' {
						require.Len(t, came, n)
					} else {
						require.Greater(t, len(came), n/3)
					}
				}
				st := p.out.Stats()
				require.EqualValues(t, written, st.Written)
				require.Zero(t, st.Dropped)
				require.NotZero(t, st.Conflated)
				require.Zero(t, st.Waiting)
				p.out.Close(0, "")
				<-p.out.Done()
				require.Zero(t, h.Lent())
			})
		})
	}
}

// TestPaceRests: an outlet without anything new writes nothing, and one that is quiet for a while
// gets the next event at once.
func TestPaceRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := fanout.New(fanout.Config{Market: tickstorm.Stocks})
		p := &paced{conn: newSink(), came: map[string][]arrival{}}
		p.out = h.Join(p.conn, fanout.OutletConfig{Every: time.Second})
		p.out.Subscribe(topics("Q.*")...)
		for n := range 3 {
			time.Sleep(time.Minute)
			at := time.Now()
			h.Message(fmt.Appendf(nil, `[{"ev":"Q","sym":"A","n":%d}]`, n+1), at.UnixNano())
			synctest.Wait()
			p.read(t)
			require.Equal(t, arrival{n + 1, at}, p.came["Q.A"][n])
		}
		require.EqualValues(t, 3, p.out.Stats().Writes)
		p.out.Cut()
		<-p.out.Done()
	})
}

// TestPaceTooMuch: what has no room among the latest is a case for the policy.
func TestPaceTooMuch(t *testing.T) {
	for _, policy := range modelPolicies {
		t.Run(policy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := fanout.New(fanout.Config{Market: tickstorm.Stocks})
				conn, ended := newSink(), make(chan error, 1)
				o := h.Join(conn, fanout.OutletConfig{
					Every: time.Hour, Bytes: 64 << 10, Overflow: policy, Dropped: dropped,
					OnEnd: func(err error) { ended <- err },
				})
				o.Subscribe(topics("Q.*", "T.A")...)
				for n := range 1000 {
					h.Message(fmt.Appendf(nil, `[{"ev":"Q","sym":"S%d"},{"ev":"T","sym":"A","n":%d}]`, n, n), 1)
				}
				synctest.Wait()
				st := o.Stats()
				require.LessOrEqual(t, st.HighWater, 64<<10)
				require.NotZero(t, st.Dropped)
				if policy == tickstorm.OverflowDisconnect {
					require.ErrorIs(t, <-ended, fanout.ErrTooSlow)
				}
				o.Cut()
				<-o.Done()
				require.Zero(t, h.Lent())
			})
		})
	}
}

// TestPaceCloses: the last events come before the end, however far off the next round is.
func TestPaceCloses(t *testing.T) {
	for _, policy := range modelPolicies {
		t.Run(policy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := fanout.New(fanout.Config{Market: tickstorm.Stocks})
				conn := newSink()
				o := h.Join(conn, fanout.OutletConfig{Every: time.Hour, Overflow: policy})
				o.Subscribe(topics("Q.*")...)
				h.Message([]byte(`[{"ev":"Q","sym":"A","n":1}]`), 1)
				synctest.Wait()
				require.Equal(t, []string{`[{"ev":"Q","sym":"A","n":1}]`}, conn.written(t))
				h.Message([]byte(`[{"ev":"Q","sym":"A","n":2},{"ev":"Q","sym":"B","n":1}]`), 2)
				h.Message([]byte(`[{"ev":"Q","sym":"A","n":3}]`), 3)
				o.Close(1012, "restart")
				<-o.Done()
				require.Equal(t, []string{`[{"ev":"Q","sym":"A","n":3},{"ev":"Q","sym":"B","n":1}]`, "close 1012 restart"}, conn.written(t))
				require.Zero(t, o.Stats().Dropped)
				require.Zero(t, h.Lent())
			})
		})
	}
}
