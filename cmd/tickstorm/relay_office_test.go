package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sim"
)

// relayProcess is a relay that runs.
type relayProcess struct {
	*scene
	t     *testing.T
	end   context.CancelCauseFunc
	ended chan int
}

func startRelay(t *testing.T, args ...string) *relayProcess {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	p := &relayProcess{scene: newScene(t).with("MASSIVE_API_KEY=upstreamkey"), t: t, end: cancel, ended: make(chan int, 1)}
	go func() { p.ended <- run(ctx, append([]string{"relay", "--min-free", "0"}, args...), p.world) }()
	t.Cleanup(func() { cancel(errInterrupted) })
	return p
}

// feed waits for the address that it serves at.
func (p *relayProcess) feed() string {
	p.t.Helper()
	require.True(p.t, p.out.await("\n"), p.err)
	return strings.TrimSpace(p.out.String())
}

func (p *relayProcess) stop() {
	p.t.Helper()
	p.end(errInterrupted)
	select {
	case code := <-p.ended:
		require.Equal(p.t, exitInterrupted, code, p.err)
	case <-time.After(patience):
		require.Fail(p.t, "it does not end")
	}
}

// element is one of a message's.
type element struct{ Ev, Sym, Status, Message string }

// program is a client that says what it wants in its URL.
type program struct {
	t  *testing.T
	nc net.Conn
}

func dialRelay(t *testing.T, url string, secure *tls.Config) *program {
	t.Helper()
	nc, early, _, err := ws.Dialer{TLSConfig: secure}.Dial(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	require.NoError(t, nc.SetDeadline(time.Now().Add(patience)))
	p := &program{t, nc}
	if early != nil {
		p.nc = buffered{nc, early}
	}
	return p
}

// buffered is a connection of which some is read already.
type buffered struct {
	net.Conn
	early interface{ Read([]byte) (int, error) }
}

func (b buffered) Read(p []byte) (int, error) { return b.early.Read(p) } // it reads on from the connection

func (p *program) next() (all []element, text string) {
	p.t.Helper()
	msg, err := wsutil.ReadServerText(p.nc)
	require.NoError(p.t, err)
	require.NoError(p.t, json.Unmarshal(msg, &all), string(msg))
	return all, string(msg)
}

// until reads until something has come, and returns all that has.
func (p *program) until(ok func(element) bool) (all []element) {
	p.t.Helper()
	for {
		some, _ := p.next()
		for _, e := range some {
			if all = append(all, e); ok(e) {
				return all
			}
		}
	}
}

func isTrade(e element) bool { return e.Ev == "T" }

// TestRelayOfficeUsage: what cannot be meant is said.
func TestRelayOfficeUsage(t *testing.T) {
	t.Parallel()
	_, flags := start(t, sim.Config{})
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.json")
	require.NoError(t, os.WriteFile(broken, []byte("{\n\"keys\": [{\"name\": \"desk\", \"tokn\": 1}]}"), 0o600))
	open := filepath.Join(dir, "open.json")
	require.NoError(t, os.WriteFile(open, []byte(`{"keys":[]}`), 0o600))
	require.NoError(t, os.Chmod(open, 0o644)) // whatever the mask
	cert, key := fixture.CertFiles(t, dir, "relay")
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--keys", broken}, exitUsage, "broken.json:2: there is no field \"tokn\""},
		{[]string{"--keys", filepath.Join(dir, "none")}, exitUsage, "no such file"},
		{[]string{"--keys", open}, exitUsage, "0644"},
		{[]string{"--tls-cert", cert}, exitUsage, "go together"},
		{[]string{"--tls-cert", cert, "--tls-key", key}, exitUsage, "tls:"},
		{[]string{"--listen", "tls:127.0.0.1:0"}, exitUsage, "--tls-cert"},
		{[]string{"--listen", "tls:127.0.0.1:0", "--tls-cert", key, "--tls-key", cert}, exitUsage, "certificate"},
		{[]string{"--listen", "tls:0.0.0.0:0", "--tls-cert", cert, "--tls-key", key}, exitUsage, "--keys"},
		{[]string{"--listen", "tls:nowhere", "--tls-cert", cert, "--tls-key", key}, exitUsage, "no address"},
		{[]string{"--listen", "0.0.0.0:0", "--insecure", "--for", "10ms"}, exitOK, "relayed to 0 programs"},
		{[]string{"--admin", "0.0.0.0:0"}, exitUsage, "--admin-remote"},
		{[]string{"--admin-remote"}, exitUsage, "--admin ADDRESS"},
		{[]string{"--admin", "0.0.0.0:0", "--admin-remote", "--for", "10ms"}, exitOK, "shows it"},
		{[]string{"--flush-interval", "-1ms"}, exitUsage, "--flush-interval"},
		{[]string{"--flush-interval", "0", "--for", "10ms"}, exitOK, "relayed to 0 programs"},
		{[]string{"--for", "1ns"}, exitOK, "relayed to 0 programs"},
		{[]string{"--lock", filepath.Join(dir, "lock"), "--for", "1ns"}, exitOK, "relayed to 0 programs"},
		{[]string{"--listen", "127.0.0.1:99999"}, exitUsage, "no address"},
		{[]string{"--admin", "127.0.0.1:99999"}, exitUsage, "no address"},
		{[]string{"--origin", "desk.example.com"}, exitUsage, "https://desk.example.com"},
		{[]string{"--keep", "1h"}, exitUsage, "--record DIR"},
		{[]string{"--max-total", "1"}, exitUsage, "--record DIR"},
		{[]string{"--hook", "upload"}, exitUsage, "--record DIR"},
		{[]string{"--history", "-1"}, exitUsage, "--history"},
		{[]string{"--snapshots", "9999"}, exitUsage, "--snapshots"},
		{[]string{"--snapshot-of", "T"}, exitUsage, "--snapshots MB"},
		{[]string{"--snapshots", "1", "--snapshot-of", "XYZ"}, exitUsage, "no channel XYZ in [stocks]"},
		{[]string{"--lock", filepath.Join(dir, "none", "lock")}, exitFailure, "lock"},
		{[]string{"--lock", filepath.Join(dir, "lock"), "--admin", "0.0.0.0:0"}, exitUsage, "--admin is for this machine alone"},
		{[]string{"--lock", filepath.Join(dir, "lock"), "--admin", "127.0.0.1:0", "--for", "10ms"}, exitOK, "relayed to 0 programs"},
	} {
		s := newScene(t).with("MASSIVE_API_KEY=k")
		args := append([]string{"relay", "--min-free", "0"}, flags...)
		if c.args[0] != "--listen" {
			args = append(args, "--listen", "127.0.0.1:0")
		}
		require.Equal(t, c.code, s.run(t, append(args, c.args...)...), "%v: %s", c.args, s.err)
		require.Contains(t, s.err.String(), c.says, c.args)
		if c.code != exitOK {
			require.NotContains(t, s.err.String(), "relayed to", c.args)
		}
	}
}

const (
	deskToken = "0123456789abcdef-desk"
	hallToken = "0123456789abcdef-hall"
)

// writeKeys writes a file of keys of which the desk's has a policy, at once.
func writeKeys(t *testing.T, path, policy string) {
	t.Helper()
	text := fmt.Sprintf(`{"keys":[{"name":"desk","token":%q,"policy":%s}]}`, deskToken, policy)
	require.NoError(t, os.WriteFile(path+".new", []byte(text), 0o600))
	require.NoError(t, os.Rename(path+".new", path))
}

// TestRelayForOthers: over TLS, with keys that are edited while a program is connected.
func TestRelayForOthers(t *testing.T) {
	t.Parallel()
	_, flags := start(t, sim.Config{Rate: 2000})
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys.json")
	writeKeys(t, keys, `{"symbols":["AAPL"]}`)
	cert, key := fixture.CertFiles(t, dir, "relay")
	text, err := os.ReadFile(cert)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(text))
	p := startRelay(t, append(flags, "--keys", keys, "--listen", "tls:127.0.0.1:0", "--tls-cert", cert, "--tls-key", key, "--admin", "127.0.0.1:0")...)
	feed := p.feed()
	require.True(t, strings.HasPrefix(feed, "wss://"), feed)
	secure := &tls.Config{RootCAs: pool}

	client, err := tickstorm.NewClient(tickstorm.Config{Key: hallToken, Market: tickstorm.Stocks, Feed: tickstorm.Feed(feed), TLS: secure}, tickstorm.NopHandler{})
	require.NoError(t, err)
	require.ErrorIs(t, client.Start(t.Context()), tickstorm.ErrAuthFailed, "a wrong key")
	one := dialRelay(t, feed+"/stocks?subscribe=T.AAPL,T.MSFT&token="+deskToken, secure)
	all := one.until(isTrade)
	require.Contains(t, all, element{Ev: "status", Status: "error", Message: "not authorized"})
	require.Equal(t, "AAPL", all[len(all)-1].Sym)

	require.True(t, p.err.await("shows it"))
	page := regexp.MustCompile(`http://\S+`).FindString(p.err.String())
	for path, want := range map[string]string{
		"/clients": `"name":"desk"`, "/topics": `"clients":["desk #`, "/metrics": "tickstorm_relay_wrong_keys_total 1\n", "/readyz": `"ready":true`,
	} {
		answer, err := http.Get(page + path)
		require.NoError(t, err)
		body := make([]byte, 64<<10)
		n := 0
		for err == nil && n < len(body) {
			var some int
			some, err = answer.Body.Read(body[n:])
			n += some
		}
		require.NoError(t, answer.Body.Close())
		require.Contains(t, string(body[:n]), want)
		require.NotContains(t, string(body[:n]), deskToken)
	}
	http.DefaultClient.CloseIdleConnections()

	writeKeys(t, keys, `{"symbols":["MSFT"]}`)
	one.until(func(e element) bool { return e.Status == "withdrawn" && e.Message == "withdrawn: T.AAPL" })
	other := dialRelay(t, feed+"/stocks?subscribe=T.MSFT&token="+deskToken, secure)
	other.until(isTrade)
	require.NoError(t, os.WriteFile(keys, []byte("{"), 0o600))
	require.True(t, p.err.await("the keys are as they were"), p.err)
	other.until(isTrade)
	p.stop()
	require.NotContains(t, p.err.String(), deskToken)
	require.NotContains(t, p.err.String(), hallToken)
}

// TestRelayStandby: of two relays with one lock, and otherwise the same flags, one serves, and the other when
// that has gone.
func TestRelayStandby(t *testing.T) {
	t.Parallel()
	server, flags := start(t, sim.Config{Rate: 1000})
	dir := t.TempDir()
	flags = append(flags, "--lock", filepath.Join(dir, "lock"), "--listen", "unix:"+filepath.Join(dir, "s"), "--record", filepath.Join(dir, "recording"))
	first := startRelay(t, append(flags, "--admin", "127.0.0.1:0")...)
	require.Equal(t, "unix:"+filepath.Join(dir, "s"), first.feed())
	require.True(t, first.err.await("shows it"))
	page := regexp.MustCompile(`http://(\S+)`).FindStringSubmatch(first.err.String())[1]
	second := startRelay(t, append(flags, "--admin", "127.0.0.1:0")...)
	third := startRelay(t, append(flags, "--admin", page)...) // where the first one has its page
	require.True(t, second.err.await("is a standby"), second.err)
	require.True(t, third.err.await("is a standby"), third.err)
	require.True(t, second.err.await("shows it"))
	answer, err := http.Get(regexp.MustCompile(`http://\S+`).FindString(second.err.String()) + "/readyz")
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
	http.DefaultClient.CloseIdleConnections()
	require.Equal(t, 1, server.Stats().Opened)
	third.stop()
	require.Empty(t, third.out.String())

	var dialer ws.Dialer
	dialer.NetDial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "s"))
	}
	dial := func() *program {
		nc, early, _, err := dialer.Dial(t.Context(), "ws://localhost/stocks?subscribe=T.*")
		require.NoError(t, err)
		require.NoError(t, nc.SetDeadline(time.Now().Add(patience)))
		if early != nil {
			nc = buffered{nc, early}
		}
		t.Cleanup(func() { _ = nc.Close() })
		return &program{t, nc}
	}
	client := dial()
	client.until(isTrade)
	require.Empty(t, second.out.String())
	first.end(errInterrupted)
	for closed := false; !closed; {
		h, err := ws.ReadHeader(client.nc)
		require.NoError(t, err)
		p := make([]byte, h.Length)
		_, err = io.ReadFull(client.nc, p)
		require.NoError(t, err)
		if closed = h.OpCode == ws.OpClose; closed {
			code, _ := ws.ParseCloseFrameData(p)
			require.EqualValues(t, 1012, code)
		}
	}
	require.NoError(t, client.nc.Close())
	second.feed()
	dial().until(isTrade)
	require.Equal(t, exitInterrupted, <-first.ended)
	second.stop()
	require.Equal(t, 2, server.Stats().Opened, "one after the other")
}

// TestRelayPageIsTaken: a relay that has taken over serves, however long the one before it, or anybody, has the
// address of the page, and shows itself when that is free.
func TestRelayPageIsTaken(t *testing.T) {
	t.Parallel()
	_, flags := start(t, sim.Config{Rate: 1000})
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	p := startRelay(t, append(flags, "--listen", "127.0.0.1:0", "--lock", filepath.Join(t.TempDir(), "lock"), "--admin", taken.Addr().String())...)
	feed := p.feed()
	require.True(t, p.err.await("the page waits for its address"), p.err)
	dialRelay(t, feed+"/stocks?subscribe=T.*", nil).until(isTrade)
	require.NoError(t, taken.Close())
	require.True(t, p.err.await("shows it"), p.err)
	dialRelay(t, feed+"/stocks?subscribe=T.*", nil).until(isTrade)
	p.stop()
	require.Equal(t, 1, strings.Count(p.err.String(), "the page waits"))
}

// TestRelayPast: who joins late has what was before, out of memory and out of what this relay and the one
// before it have recorded, with what is missing in between, and then what is live.
func TestRelayPast(t *testing.T) {
	t.Parallel()
	server, flags := start(t, sim.Config{Quiet: true})
	dir := t.TempDir()
	flags = append(flags, "--listen", "127.0.0.1:0", "--record", dir, "--flush", "10ms", "--history", "1", "--snapshots", "1", "--snapshot-of", "T", "--linger", "0")
	number := 0
	send := func() {
		number++
		server.Broadcast(fmt.Appendf(nil, `[{"ev":"T","sym":"A","status":"%d"},{"ev":"Q","sym":"A","status":"%[1]d"}]`, number))
	}
	// passed sends something until a program has it.
	passed := func(p *program) {
		send()
		want := fmt.Sprint(number)
		p.until(func(e element) bool { return isTrade(e) && e.Status == want })
	}
	begun := time.Now()
	first := startRelay(t, flags...)
	early := dialRelay(t, first.feed()+"/stocks?subscribe=T.A", nil)
	early.until(func(e element) bool { return strings.HasPrefix(e.Message, "subscribed") })
	for range 5 {
		passed(early)
	}
	first.stop()

	second := startRelay(t, flags...)
	feed := second.feed()
	early = dialRelay(t, feed+"/stocks?subscribe=T.A", nil)
	early.until(func(e element) bool { return strings.HasPrefix(e.Message, "subscribed") })
	for range 5 {
		passed(early)
	}
	late := dialRelay(t, fmt.Sprintf("%s/stocks?subscribe=T.A&since=%d", feed, begun.UnixNano()), nil)
	all := late.until(func(e element) bool { return strings.HasSuffix(e.Message, "next=live") })
	next := 1
	var gaps []string
	for _, e := range all {
		switch {
		case isTrade(e):
			require.Equal(t, fmt.Sprint(next), e.Status)
			next++
		case e.Status == "gap":
			_, cause, _ := strings.Cut(e.Message, "cause=")
			gaps = append(gaps, fmt.Sprint(next, " ", cause))
		}
	}
	require.Equal(t, 11, next, all)
	require.Equal(t, "1 not recorded", gaps[0], "before the first began")
	require.Equal(t, "6 history: not streamed: T.A", gaps[len(gaps)-1])
	require.True(t, strings.HasPrefix(gaps[len(gaps)-2], "6 "), "while nothing ran: %v", gaps)
	passed(late)

	last := dialRelay(t, feed+"/stocks?subscribe=T.A,Q.A&snapshot=1", nil)
	pieces := 2 // one of each topic, in any order
	all = last.until(func(e element) bool {
		if e.Status == "snapshot_end" && strings.HasSuffix(e.Message, "next=live") {
			pieces--
		}
		return pieces == 0
	})
	var events []string
	for _, e := range all {
		if e.Ev != "status" {
			events = append(events, e.Ev+e.Status)
		}
	}
	require.Equal(t, []string{fmt.Sprint("T", number)}, events, "quotes are not kept")
	second.stop()
}

// TestRecordersPast: a recorder that has not written yet what is asked for is waited for, and one that does
// not write it is told of.
func TestRecordersPast(t *testing.T) {
	t.Parallel()
	msg := []byte(`[{"ev":"T","sym":"A"}]`)
	with := func(flush time.Duration) (*recorders, *marketRecorder) {
		a := newScene(t).app()
		r := &recorders{app: a, dir: t.TempDir(), flush: flush}
		rec, err := r.add(record.Config{Dir: r.dir, Market: tickstorm.Stocks, Flush: flush, MinFree: -1})
		require.NoError(t, err)
		require.NoError(t, r.start())
		t.Cleanup(func() { _ = r.close(context.Background()) })
		return r, rec
	}
	read := func(r *recorders, from, to int64) (found []int64) {
		s, err := r.past(t.Context(), tickstorm.Stocks, time.Unix(0, from), time.Unix(0, to))
		require.NoError(t, err)
		defer s.(io.Closer).Close()
		for {
			msg, received, err := s.Next()
			if err != nil {
				require.Equal(t, io.EOF, err)
				return found
			}
			require.Contains(t, string(msg), `"T"`)
			found = append(found, received)
		}
	}
	r, rec := with(200 * time.Millisecond)
	rec.OnState(&tickstorm.StateChange{State: tickstorm.StateStreaming, At: time.Now()})
	at := time.Now().UnixNano()
	rec.OnMessage(msg, at)
	rec.OnMessage(msg, at) // as one that came with it
	rec.OnMessage(msg, at+1)
	require.Equal(t, []int64{at, at}, read(r, at, at+1))
	require.Equal(t, []int64{at, at, at + 1}, read(r, at, at+2), "nothing comes behind it")

	r, _ = with(time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := r.past(ctx, tickstorm.Stocks, time.Now().Add(-time.Hour), time.Now())
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
