package top_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/top"
)

// relaySays is what an admin server says in an event.
const relaySays = `{"up":61000000000,"version":"v0","markets":[` +
	`{"market":"stocks","state":"connected","error":"","for":60000000000,"rate":1200.5,"byteRate":163000,"lagP50":1500000,"lagP99":9000000,"age":2000000,` +
	`"topics":3,"granted":2,"gaps":1,"lastGap":{"length":2000000000,"ago":30000000000,"cause":"disconnected"},"reconnects":1,"messages":7,"events":4200,` +
	`"channels":[{"channel":"T","history":[1,2,300]},{"channel":"Q","history":[900.5]}]},` +
	`{"market":"crypto","state":"reconnecting","error":"dial: refused","for":1,"rate":0,"byteRate":0,"lagP50":null,"lagP99":null,"age":null,` +
	`"topics":0,"granted":0,"gaps":0,"lastGap":null,"reconnects":0,"messages":0,"events":0,"channels":[]}],` +
	`"clients":[{"id":1,"name":"strategy","address":"127.0.0.1:1","market":"stocks","topics":2,"for":60000000000,"queued":600,"limit":1000,"waiting":3,` +
	`"delayP50":20000,"delayP99":800000,"sent":5000000,"written":4200,"dropped":12,"conflated":4},` +
	`{"id":2,"name":"","address":"127.0.0.1:2","market":"crypto","topics":1,"for":1000000000,"queued":0,"limit":1000,"waiting":0,` +
	`"delayP50":null,"delayP99":null,"sent":0,"written":0,"dropped":0,"conflated":0}]}`

// adminServer says what it is told to say, to each request the next.
func adminServer(t *testing.T, answers ...func(w http.ResponseWriter)) string {
	var mu sync.Mutex
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/events" {
			http.NotFound(w, r)
			return
		}
		mu.Lock()
		answer, last := answers[0], len(answers) == 1
		if !last {
			answers = answers[1:]
		}
		mu.Unlock()
		answer(w)
		if last {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func says(text string) func(w http.ResponseWriter) {
	return func(w http.ResponseWriter) { _, _ = io.WriteString(w, text) }
}

// reading reads an admin server until the test ends.
func reading(t *testing.T, address string) *top.Admin {
	a, err := top.NewAdmin(address)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		a.Run(ctx)
		close(over)
	}()
	t.Cleanup(func() {
		cancel()
		<-over
	})
	return a
}

// TestAdmin: what a relay says is a feed like another.
func TestAdmin(t *testing.T) {
	a := reading(t, adminServer(t, says(": nothing yet\n\ndata: "+relaySays+"\n\n")))
	require.NoError(t, a.Await(t.Context(), 1))
	<-a.Answered()
	r := a.Latest()
	require.Len(t, r.Clients, 2)
	require.Equal(t, "strategy", r.Clients[0].Name)
	m := top.NewRelayMeter(a.Latest)
	s := m.Sample(day, "")
	require.EqualValues(t, "stocks", s.Market)
	require.Equal(t, "connected", s.State)
	require.Equal(t, 60.0, s.StateFor)
	require.Equal(t, 1200.5, s.EventRate)
	require.Equal(t, 0.0015, *s.LagP50)
	require.Equal(t, 300.0, s.Channels[0].EventRate)
	require.EqualValues(t, 12, s.Queue.Dropped)
	require.Len(t, s.Incidents, 1)
	require.Equal(t, "2.0s without events: disconnected", s.Incidents[0].Text)
	require.Equal(t, day.Add(-30*time.Second), s.Incidents[0].At)
	s = m.Sample(day, "crypto")
	require.Equal(t, "reconnecting", s.State)
	require.Equal(t, "dial: refused", s.Why)
	require.Nil(t, s.LagP50)
	require.Equal(t, "no market", m.Sample(day, "forex").State)
}

// TestRelayMeter: what happens to a relay between two looks is an incident, and what was seen a history.
func TestRelayMeter(t *testing.T) {
	r, err := top.RelayOf([]byte(relaySays))
	require.NoError(t, err)
	m := top.NewRelayMeter(func() *top.Relay {
		now := r
		now.Markets, now.Clients = slices.Clone(r.Markets), slices.Clone(r.Clients)
		return &now
	})
	told := func(at time.Duration) (told []string) {
		for _, i := range m.Sample(day.Add(at), "stocks").Incidents {
			told = append(told, i.Kind+": "+i.Text)
		}
		return told
	}
	want := []string{"gap: 2.0s without events: disconnected"}
	require.Equal(t, want, told(0))
	require.Equal(t, want, told(time.Second), "it is told once")
	r.Markets[0].State, r.Markets[0].Why = "disconnected", "dial: refused"
	r.Clients[0].Dropped += 7
	r.Clients[1].Dropped += 9 // of another market
	want = append(want, "state: disconnected: dial: refused", "drop: 7 events that strategy was too slow for")
	require.Equal(t, want, told(2*time.Second))
	r.Markets[0].State, r.Markets[0].Why, r.Markets[0].Gaps = "connected", "", 2
	r.Markets[0].LastGap = &top.RelayGap{Length: 5, Ago: 1, Cause: "stalled"}
	want = append(want, "gap: 5.0s without events: stalled", "state: connected")
	require.Equal(t, want, told(3*time.Second))
	r.Error, r.Markets[0].Gaps = "refused", 0 // and begins anew
	want = append(want, "state: no answer: refused")
	require.Equal(t, want, told(3*time.Second))
	r.Error, r.Markets[0].Gaps, r.Markets[0].LastGap.Length = "", 1, 6
	want = append(want, "gap: 6.0s without events: stalled", "state: connected")
	require.Equal(t, want, told(3*time.Second))
	r.Clients = r.Clients[:1]
	r.Clients[0].ID, r.Clients[0].Dropped = 9, 3 // somebody else, of whom all is new
	want = append(want, "drop: 3 events that strategy was too slow for")
	require.Equal(t, want, told(4*time.Second))
	require.Equal(t, []float64{1200.5, 1200.5, 1200.5, 1200.5, 0, 1200.5, 1200.5, 1200.5}, m.Sample(day.Add(5*time.Second), "").Rates())
	for i := range 1000 {
		r.Clients[0].Dropped++
		m.Sample(day.Add(time.Duration(i)*time.Second), "stocks")
	}
	require.Len(t, told(0), 100, "it is bounded")
}

// TestAdminFails: whatever an admin server does, it is said, and asked again.
func TestAdminFails(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter)
		says   string
	}{
		"not found":   {func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) }, "404"},
		"not JSON":    {says("data: {\x1b[31m\n\n"), "something else"},
		"ends":        {says("data: " + relaySays + "\n\n"), "ended"},
		"long":        {says("data: " + strings.Repeat("x", 17<<20)), "too long"},
		"a web page":  {says("<!doctype html>\n<p>welcome\n"), "ended"},
		"wrong types": {says(`data: {"markets":7}` + "\n\n"), "something else"},
	} {
		t.Run(name, func(t *testing.T) {
			a := reading(t, adminServer(t, c.answer, says("data: "+relaySays+"\n\n")))
			require.Eventually(t, func() bool { return strings.Contains(a.Latest().Error, c.says) }, patience, time.Millisecond)
			s := top.NewRelayMeter(a.Latest).Sample(day, "")
			require.Equal(t, "no answer", s.State)
			require.Contains(t, s.Why, c.says)
			require.NotContains(t, s.Why, "\x1b")
			require.Eventually(t, func() bool { return a.Latest().Error == "" }, patience, time.Millisecond, "it comes back")
		})
	}
	for _, address := range []string{"", "ftp://x", "http://", "http://user:secret@x", "http://x?y", "http://x#y", "ht\x00tp"} {
		_, err := top.NewAdmin(address)
		require.Error(t, err, "%q", address)
	}
	a := reading(t, "127.0.0.1:1")
	require.ErrorContains(t, a.Await(t.Context(), 2), "no answer after 2 attempts")
	require.Contains(t, a.Latest().Error, "refused")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, a.Await(over, 0), context.Canceled)
	require.Contains(t, top.NewRelayMeter(a.Latest).Sample(day, "").Line(time.UTC), " no-answer ")
}
