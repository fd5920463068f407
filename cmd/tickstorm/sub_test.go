package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// start starts a simulator, and returns the flags that lead to it.
func start(t *testing.T, cfg sim.Config) (*sim.Server, []string) {
	server, err := sim.Start(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	return server, []string{"--feed", string(server.Feed())}
}

// TestEnds: every way in which a stream ends has its message and its code.
func TestEnds(t *testing.T) {
	t.Parallel()
	faults := func(script string) sim.Config {
		f, err := sim.ParseFaults(script)
		require.NoError(t, err)
		return sim.Config{Faults: f}
	}
	plan := sim.Config{Keys: map[string]sim.Plan{"k": {Channels: []string{"T"}}}}
	for _, c := range []struct {
		name string
		cfg  sim.Config
		key  string
		args []string
		code int
		says string
	}{
		{"as many as were wanted", sim.Config{}, "k", []string{"-n", "3", "T.AAPL"}, exitOK, ""},
		{"time is up", sim.Config{}, "k", []string{"--for", "50ms", "T.AAPL"}, exitOK, ""},
		{"no key on this machine", sim.Config{}, "", []string{"-n", "1", "T.AAPL"}, exitOK, ""},
		{"a bad key", sim.Config{}, sim.BadKey, []string{"T.AAPL"}, exitKey, "authentication failed"},
		{"a key without the market", sim.Config{}, sim.NoPlanKey, []string{"T.AAPL"}, exitPlan, "plan doesn't include"},
		{"a channel that is not in the plan", plan, "k", []string{"Q.AAPL"}, exitPlan, "not authorized"},
		{"one of two that is", plan, "k", []string{"-n", "1", "T.AAPL", "Q.AAPL"}, exitOK, "refused"},
		{"delayed data only", sim.Config{Keys: map[string]sim.Plan{"k": {NotRealTime: true}}}, "k", []string{"T.AAPL"}, exitPlan, "real-time"},
		{"more than the feed allows", sim.Config{}, "k", []string{"-m", "options", "Q.*"}, exitPlan, "subscription limit"},
		{"silence", sim.Config{Quiet: true}, "k", []string{"--stale", "50ms", "T.AAPL"}, exitStale, "no event came for"},
		{"nobody answers", faults("stall@accept"), "k", []string{"--stale", "50ms", "T.AAPL"}, exitStale, "no event came for"},
		{"no such path", faults("http=404@handshake"), "k", []string{"T.AAPL"}, exitFailure, "404"},
		{"a broken server", faults("garbage@greeting"), "k", []string{"--attempts", "1", "T.AAPL"}, exitFailure, "no connection after 1 attempts"},
		{"a broken answer to the key", faults("half@auth"), "k", []string{"--attempts", "2", "T.AAPL"}, exitFailure, "no connection after 2 attempts"},
		{"broken later, and mended", faults("cut@streaming+2#1"), "k", []string{"-n", "200", "T.AAPL"}, exitOK, "gap"},
		{"what is no event", faults("message=[{@streaming+1"), "k", []string{"-n", "200", "T.AAPL"}, exitOK, "not an event"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, flags := start(t, c.cfg)
			s := newScene(t).with("POLYGON_API_KEY=" + c.key)
			code := s.run(t, append(append([]string{"sub"}, flags...), c.args...)...)
			require.Equal(t, c.code, code, s.err)
			require.Contains(t, s.err.String(), c.says)
			if c.key != "" && len(c.key) > 1 {
				require.NotContains(t, s.err.String()+s.out.String(), c.key)
			}
		})
	}
	t.Run("evicted", func(t *testing.T) {
		server, flags := start(t, sim.Config{Eviction: sim.EvictNewcomer})
		cfg := server.ClientConfig(tickstorm.Stocks)
		cfg.Key = "k2"
		conn, err := tickstorm.Dial(t.Context(), cfg, nil)
		require.NoError(t, err)
		defer conn.Close()
		s := newScene(t).with("MASSIVE_API_KEY=k2")
		require.Equal(t, exitEvicted, s.run(t, append([]string{"sub", "T.AAPL"}, flags...)...), s.err)
		require.Contains(t, s.err.String(), "Maximum number of websocket connections exceeded")
	})
	t.Run("no server", func(t *testing.T) {
		server, flags := start(t, sim.Config{})
		require.NoError(t, server.Close())
		s := newScene(t)
		require.Equal(t, exitFailure, s.run(t, append([]string{"sub", "--attempts", "1", "T.AAPL"}, flags...)...), s.err)
		require.Contains(t, s.err.String(), "no connection after 1 attempts: dial")
	})
	t.Run("interrupted", func(t *testing.T) {
		for _, args := range [][]string{{"T.AAPL"}, {"-f", "table", "T.AAPL"}, {"-f", "raw", "T.AAPL"}} {
			s := newScene(t)
			require.Equal(t, exitInterrupted, s.until(t, s.out, "AAPL", append([]string{"sub", "--demo"}, args...)...), s.err)
			require.True(t, strings.HasSuffix(s.out.String(), "\n"), "the last line is whole")
		}
	})
}

// TestSubUsage: what cannot be meant is said, with code 2, and 3 if it is about keys.
func TestSubUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"sub", "T.AAPL"}, exitKey, "MASSIVE_API_KEY or POLYGON_API_KEY, or in a file for --key-file"},
		{[]string{"sub", "T.AAPL", "--key-file", "/dev/null/none/key"}, exitKey, "the key file cannot be read"},
		{[]string{"sub", "T.AAPL", "--key", "secretsecret"}, exitUsage, "a key is never an argument"},
		{[]string{"sub", "--api-key=secretsecret"}, exitUsage, "a key is never an argument"},
		{[]string{"sub", "--demo"}, exitUsage, "say what to subscribe to"},
		{[]string{"sub", "--demo", "AAPL"}, exitUsage, "no dot"},
		{[]string{"sub", "--demo", "T.SPY*"}, exitUsage, "no partial wildcards"},
		{[]string{"sub", "--demo", "am.SPY"}, exitUsage, "channels are written in capitals, AM.SPY"},
		{[]string{"sub", "--feed", "http://127.0.0.1:1", "T.A"}, exitUsage, "ws or wss"},
		{[]string{"sub", "--feed", "ws://", "T.A"}, exitUsage, "ws or wss"},
		{[]string{"sub", "--feed", "wss://socket.massive.com/?apiKey=secretsecret", "T.A"}, exitUsage, "a key is never in it"},
		{[]string{"sub", "--feed", "wss://me:secretsecret@socket.massive.com", "T.A"}, exitUsage, "a key is never in it"},
		{[]string{"sub", "--feed", "ws://127.0.0.1:1?snapshot=1&Token=secretsecret", "T.A"}, exitUsage, "nor a token"},
		{[]string{"sub", "--feed", "ws://127.0.0.1:1?api-key=secretsecret", "T.A"}, exitUsage, "nor a token or a password"},
		{[]string{"sub", "--feed", "ws://127.0.0.1:1?access.key=secretsecret", "T.A"}, exitUsage, "nor a token or a password"},
		{[]string{"sub", "--feed", "ws://127.0.0.1:1?%61uth=secretsecret", "T.A"}, exitUsage, "nor a token or a password"},
		{[]string{"sub", "--feed", "ws://127.0.0.1:1?passWord=secretsecret", "T.A"}, exitUsage, "nor a token or a password"},
		{[]string{"sub", "--feed", "ws://127.0.0.1:1?client_secret=secretsecret", "T.A"}, exitUsage, "nor a token or a password"},
		{[]string{"sub", "T.AAPL", "--apiKey=secretsecret"}, exitUsage, "a key is never an argument"},
		{[]string{"sub", "T.AAPL", "--access-token", "secretsecret"}, exitUsage, "a key is never an argument"},
		{[]string{"sub", "T.AAPL", "--password", "secretsecret"}, exitUsage, "a key is never an argument"},
		{[]string{"top", "--admin", "http://me:secretsecret@127.0.0.1:1"}, exitUsage, "no address of an admin server"},
		{[]string{"sub", "--feed", "ws://127.0.0.1:1?snapshot=1;token=secretsecret", "T.A"}, exitUsage, "nor a token"},
		{[]string{"sub", "--feed", "ws://127.0.0.1:1?snapshot=1;since=-5m", "T.A"}, exitUsage, "its query is none"},
		{[]string{"sub", "--feed", "wss://secretsecret%zz@x", "T.A"}, exitUsage, "ws or wss"},
		{[]string{"sub", "T.A", "--key-file", "secretsecret0123456789"}, exitKey, "not the key"},
		{[]string{"sub", "--demo", "XT.BTC-USD"}, exitUsage, "-m crypto"},
		{[]string{"sub", "--demo", "T.A", "-f", "xml"}, exitUsage, "not a format"},
		{[]string{"sub", "--demo", "T.A", "-f", "{nothing}"}, exitUsage, "no field {nothing}"},
		{[]string{"sub", "--demo", "T.A", "-f", "{sym"}, exitUsage, "brace"},
		{[]string{"sub", "--demo", "T.A", "-f", "csv", "--columns", "nonsense"}, exitUsage, `no column "nonsense"`},
		{[]string{"sub", "--demo", "T.A", "-f", "json", "--columns", "x"}, exitUsage, "--columns are of -f csv"},
		{[]string{"sub", "--demo", "T.A", "-f", "raw", "--where", "sym=A"}, exitUsage, "use -f json"},
		{[]string{"sub", "--demo", "T.A", "--where", "nonsense"}, exitUsage, "not a condition"},
		{[]string{"sub", "--demo", "T.A", "--ts", "x"}, exitUsage, "--ts"},
		{[]string{"sub", "--demo", "T.A", "--for", "-1s"}, exitUsage, "negative"},
		{[]string{"sub", "--demo", "T.A", "-f", "table", "--tz", "Mars"}, exitUsage, "no zone"},
		{[]string{"sub", "--demo", "--feed", "delayed", "T.A"}, exitUsage, "say one of them"},
		{[]string{"sub", "--feed", "nowhere", "T.A"}, exitUsage, "no feed"},
		{[]string{"sub", "--feed", "ws://127.0.0.1:1/x#y", "T.A"}, exitUsage, "nothing but host, port, path and a query"},
		{[]string{"sub", "--demo", "--symbols", "/dev/null/none"}, exitUsage, "symbols"},
		{[]string{"sub", "--demo", "--symbols", "-"}, exitUsage, "no symbols"},
		{[]string{"sub", "--demo", "--context", "x", "T.A"}, exitUsage, "context"},
		{[]string{"sub", "--demo", "--config", "/dev/null/none", "T.A"}, exitUsage, "configuration"},
		{[]string{"nonsense"}, exitUsage, "see tickstorm --help"},
		{[]string{"sub", "--demo", "--nonsense", "T.A"}, exitUsage, "see tickstorm sub --help"},
	} {
		s := newScene(t)

		require.Equal(t, c.code, s.run(t, c.args...), "%v: %s", c.args, s.err)
		require.Contains(t, s.err.String(), c.says)
		require.NotContains(t, s.err.String(), "secretsecret")
		require.Empty(t, s.out.String())
	}
}

// TestSimulatorIsSaid: whatever the flags, made-up data are called so.
func TestSimulatorIsSaid(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	require.Equal(t, exitOK, s.run(t, "sub", "--demo", "--quiet", "--log-format", "json", "-n", "1", "T.AAPL"))
	require.Equal(t, "tickstorm: SIMULATOR: made-up data, seed 1\n", s.err.String())
}

// TestKeyFile: the key is a file's, before the environment's, and those of a context behind that.
func TestKeyFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), mode))
		return path
	}
	_, flags := start(t, sim.Config{Keys: map[string]sim.Plan{"goodkey1": {}}})
	sub := func(s *scene, args ...string) int {
		return s.run(t, append(append([]string{"sub", "-n", "1", "T.AAPL"}, flags...), args...)...)
	}
	s := newScene(t).with("MASSIVE_API_KEY=wrongkey")
	require.Equal(t, exitOK, sub(s, "--key-file", write("key", " goodkey1\n", 0o600)), s.err)
	require.NotContains(t, s.err.String(), "chmod")

	s = newScene(t)
	require.Equal(t, exitKey, sub(s, "--key-file", write("empty", "\n", 0o600)))
	require.Contains(t, s.err.String(), "is empty")
	s = newScene(t)
	require.Equal(t, exitKey, sub(s, "--key-file", write("essay", "goodkey1 and more", 0o600)))
	require.Contains(t, s.err.String(), "more than one word")
	require.NotContains(t, s.err.String(), "goodkey1")

	s = newScene(t)
	require.Equal(t, exitOK, sub(s, "--key-file", write("windows", "\uFEFFgoodkey1\r\n", 0o600)), s.err)
	s = newScene(t)
	require.Equal(t, exitKey, sub(s, "--key-file", write("utf16", "\xff\xfeg\x00o\x00o\x00d\x00", 0o600)))
	require.Contains(t, s.err.String(), "characters that no key has")
	s = newScene(t).with("MASSIVE_API_KEY=good\x00key")
	require.Equal(t, exitKey, sub(s))
	require.Contains(t, s.err.String(), "MASSIVE_API_KEY has characters that no key has")
	if runtime.GOOS != "windows" {
		s = newScene(t)
		require.Equal(t, exitOK, sub(s, "--key-file", write("open", "goodkey1", 0o644)), s.err)
		require.Contains(t, s.err.String(), "chmod 600")
	}

	config := write("config.json", `{"context":"here","contexts":{"here":{"key_file":"key"},"relay":{"relay":"`+flags[1]+`","key_file":"~/key","market":"crypto"}}}`, 0o644)
	s = newScene(t)
	require.Equal(t, exitOK, sub(s, "--config", config), s.err)
	s = newScene(t).with("TICKSTORM_CONFIG=" + config)
	require.NoError(t, os.WriteFile(filepath.Join(s.home, "key"), []byte("goodkey1"), 0o600))
	require.Equal(t, exitOK, s.run(t, "sub", "--context", "relay", "-n", "1", "XT.BTC-USD"), s.err)
	s = newScene(t).with("TICKSTORM_CONFIG="+config, "POLYGON_API_KEY=wrongkey")
	require.Equal(t, exitKey, sub(s), "the environment goes before the context")
	s = newScene(t)
	require.Equal(t, exitUsage, sub(s, "--config", config, "--context", "nowhere"))
	require.Contains(t, s.err.String(), "there are here, relay")
	for text, says := range map[string]string{
		`{"contexts":{"a":{"key":"secret"}}}`: "a key does not stand there",
		`{"contexts":{"a":{"nonsense":1}}}`:   "nonsense",
		`{"contexts":{}} {}`:                  "follows",
		`{`:                                   "it ends in the middle",
	} {
		s = newScene(t)
		require.Equal(t, exitUsage, sub(s, "--config", write("bad.json", text, 0o600)))
		require.Contains(t, s.err.String(), says)
	}
}

// TestSymbols: symbols are read from a file or standard input, for some channels, and read again.
func TestSymbols(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.stdin = strings.NewReader("AAPL, MSFT # two\n\n# none\nNVDA\n")
	require.Equal(t, exitOK, s.run(t, "sub", "--demo", "-f", "raw", "-n", "3", "--symbols", "-", "T", "Q"), s.err)
	require.Contains(t, s.out.String(), "T.NVDA")
	require.Contains(t, s.out.String(), "Q.MSFT")

	// A list on one line, as spreadsheets write it, may be longer than a line of text.
	var many []string
	for i := range 20_000 {
		many = append(many, fmt.Sprintf("S%05d", i))
	}
	s = newScene(t)
	s.stdin = strings.NewReader("\uFEFF" + strings.Join(many, ",") + "\r\n")
	a := s.app()
	symbols, err := a.symbols(t.Context(), "-")
	require.NoError(t, err)
	require.Equal(t, many, symbols)
	s.stdin = io.MultiReader(strings.NewReader("A "), strings.NewReader(strings.Repeat("A", maxSymbols)))
	_, err = a.symbols(t.Context(), "-")
	require.ErrorIs(t, err, errUsage)

	file := filepath.Join(t.TempDir(), "symbols")
	require.NoError(t, os.WriteFile(file, []byte("AAPL\n"), 0o600))
	server, flags := start(t, sim.Config{Rate: 200})
	hangups := make(chan os.Signal, 1)
	s = newScene(t)
	s.hangups = func() (<-chan os.Signal, func()) { return hangups, func() {} }
	done := make(chan int, 1)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { done <- run(ctx, append([]string{"sub", "-v", "--symbols", file}, flags...), s.world) }()
	require.True(t, s.out.await("AAPL"))
	require.NoError(t, os.Remove(file))
	hangups <- syscall.SIGHUP
	require.True(t, s.err.await("the symbols stay as they are"))
	require.NoError(t, os.WriteFile(file, []byte("MSFT\n"), 0o600))
	hangups <- syscall.SIGHUP
	require.True(t, s.out.await("MSFT"))
	cancel(errInterrupted)
	require.Equal(t, exitInterrupted, <-done, s.err)
	require.NotZero(t, server.Stats().Requests)
}

// TestInterruptedInput: whoever is asked, or gives a list, may interrupt it instead.
func TestInterruptedInput(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"sub", "--demo", "--symbols", "-"}, {"probe", "--feed", "ws://127.0.0.1:1"}} {
		s := newScene(t)
		r, w := io.Pipe()
		s.stdin, s.stdinTerminal = &reading{r: r, begun: make(chan struct{})}, true
		ctx, cancel := context.WithCancelCause(t.Context())
		code := make(chan int, 1)
		go func() { code <- run(ctx, args, s.world) }()
		<-s.stdin.(*reading).begun
		cancel(errInterrupted)
		select {
		case c := <-code:
			require.Equal(t, exitInterrupted, c, s.err)
		case <-time.After(patience):
			require.Fail(t, "it does not end", args)
		}
		require.NoError(t, w.Close()) // the goroutine that reads ends
	}
}

// reading tells when it is read from.
type reading struct {
	r     io.Reader
	once  sync.Once
	begun chan struct{}
}

func (r *reading) Read(b []byte) (int, error) {
	r.once.Do(func() { close(r.begun) })
	return r.r.Read(b)
}

// TestOutput: what cannot be written ends the stream: quietly where nobody reads any more.
func TestOutput(t *testing.T) {
	t.Parallel()
	for err, code := range map[error]int{syscall.ENOSPC: exitFailure, brokenPipe: exitOK} {
		for _, args := range [][]string{{"--help"}, {"sub", "--help"}, {"version"}, {"completion", "fish"}, {"info", "--demo"}, {"verify", "--demo"}} {
			s := newScene(t)
			s.stdout = &failing{err: &os.PathError{Op: "write", Path: "/dev/stdout", Err: err}}
			require.Equal(t, code, s.run(t, args...), "%v: %s", args, s.err)
		}
	}
	for _, format := range []string{"json", "raw", "csv", "table", "{sym}"} {
		s := newScene(t)
		s.stdout = &failing{after: 1, err: &os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}}
		require.Equal(t, exitFailure, s.run(t, "sub", "--demo", "-f", format, "T.AAPL"), format)
		require.Contains(t, s.err.String(), "standard output: write /dev/stdout: no space left on device")

		s = newScene(t)
		s.stdout = &failing{after: 1, err: &os.PathError{Op: "write", Path: "/dev/stdout", Err: brokenPipe}}
		require.Equal(t, exitOK, s.run(t, "sub", "--demo", "-f", format, "T.AAPL"), format)
		require.Equal(t, "tickstorm: SIMULATOR: made-up data, seed 1\n", s.err.String())
	}
}

// failing takes some pieces and no more.
type failing struct {
	after int
	err   error
}

func (f *failing) Write(p []byte) (int, error) {
	if f.after--; f.after < 0 {
		return 0, f.err
	}
	return len(p), nil
}

// TestStuckReader: a reader that does not read does not keep Ctrl-C from ending it.
func TestStuckReader(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"sub", "--demo", "--demo-rate", "1000", "T.*"}, {"consume", "nats", "--demo", "--demo-rate", "1000", "T.*"}} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			stuck := newBlocking(nil)
			s.stdout = stuck
			ctx, cancel := context.WithCancelCause(t.Context())
			code := make(chan int, 1)
			go func() { code <- run(ctx, args, s.world) }()
			<-stuck.begun
			cancel(errInterrupted)
			begun := time.Now()
			select {
			case c := <-code:
				require.Equal(t, exitFailure, c)
				require.Less(t, time.Since(begun), 2*unread, "the reader has had its time once")
			case <-time.After(patience):
				require.Fail(t, "it does not end")
			}
			require.Contains(t, s.err.String(), "nobody reads what is written")
			close(stuck.free) // the goroutines that wait for it end
		})
	}
}

// TestPatience: where nobody has interrupted it, a reader that takes its time is waited for, for however long, and
// gets all that was asked for.
func TestPatience(t *testing.T) {
	t.Parallel()
	path := demo(t, newScene(t))
	for name, args := range map[string][]string{
		"replay":  {"replay", path, "--speed", "max", "--until", "-9s", "-f", "{sym}"},
		"count":   {"sub", "--demo", "--demo-rate", "1000", "-n", "100", "T.*"},
		"decoded": {"sub", "--demo", "--demo-rate", "1000", "-n", "100", "-f", "csv", "T.*"},
		"for":     {"sub", "--demo", "--demo-rate", "1000", "--for", "1s", "-f", "{received_time}", "T.*"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			pager := newBlocking(s.out)
			s.stdout = pager
			code := make(chan int, 1)
			go func() { code <- s.run(t, args...) }()
			<-pager.begun
			select { // beyond all that anything else may take
			case c := <-code:
				require.Fail(t, "it has not waited", "code %d: %s", c, s.err)
			case <-time.After(unread + 2*time.Second):
			}
			close(pager.free)
			require.Equal(t, exitOK, <-code, s.err)
			lines := strings.Count(s.out.String(), "\n")
			require.NotContains(t, s.err.String(), "given up")
			switch name {
			case "replay":
				require.Equal(t, 980, lines)
			case "count":
				require.Equal(t, 100, lines)
			case "decoded":
				require.Equal(t, 101, lines, "with the header")
			case "for":
				require.Greater(t, lines, 100)
				all := strings.Fields(s.out.String())
				first, last := all[0], all[len(all)-1]
				from, err := strconv.ParseInt(first, 10, 64)
				require.NoError(t, err)
				to, err := strconv.ParseInt(last, 10, 64)
				require.NoError(t, err)
				require.Less(t, time.Duration(to-from), 5*time.Second, "what came behind it is not shown")
			}
		})
	}
}

// blocking takes nothing until it is free.
type blocking struct {
	once        sync.Once
	begun, free chan struct{}
	to          io.Writer // what it takes goes there; may be nil
}

func newBlocking(to io.Writer) *blocking {
	return &blocking{begun: make(chan struct{}), free: make(chan struct{}), to: to}
}

func (b *blocking) Write(p []byte) (int, error) {
	b.once.Do(func() { close(b.begun) })
	<-b.free
	if b.to != nil {
		return b.to.Write(p)
	}
	return len(p), nil
}

// TestTerminal: on a terminal there is a table, and each message is written at once.
func TestTerminal(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.stdoutTerminal = true
	require.Equal(t, exitOK, s.run(t, "sub", "--demo", "-n", "1", "T.AAPL"))
	require.Regexp(t, `^TIME +EV +SYMBOL\n09:30:00.000 +T +AAPL +282.41 +300\n$`, s.out)
}

// TestReport: symbols are counted, whatever is written.
func TestReport(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "raw", "table"} {
		s := newScene(t)
		require.Equal(t, exitOK, s.run(t, "sub", "--demo", "--report", "-f", format, "-n", "10", "T.AAPL", "Q.AAPL"))
		require.Regexp(t, `(?s)SYMBOL +EVENTS +A SECOND +SHARE +SILENT FOR *\n +AAPL +\d+ +[\d.]+ +100.0% .*\n +ALL +\d+ `, s.err)
	}
}

// TestSlowOutput: while nobody takes what is written events wait, and are dropped beyond that, and told.
func TestSlowOutput(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	stuck := newBlocking(s.out)
	s.stdout = stuck
	ctx, cancel := context.WithCancelCause(t.Context())
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"sub", "--demo", "--demo-rate", "-1", "--queue", "1", "-v", "T.*", "Q.*"}, s.world)
	}()
	require.True(t, s.err.await("dropped, since the output takes less than comes"), s.err)
	close(stuck.free)
	cancel(errInterrupted)
	select {
	case c := <-code:
		require.Equal(t, exitInterrupted, c, s.err)
	case <-time.After(patience):
		require.Fail(t, "it does not end")
	}
	require.True(t, strings.HasSuffix(s.out.String(), "}\n"), "what waited was written, in whole lines")

	for _, n := range []string{"0", "-1", "1000000"} {
		s = newScene(t)
		require.Equal(t, exitUsage, s.run(t, "sub", "--demo", "--queue", n, "T.A"))
	}

	// It is told once a second.
	s = newScene(t)
	d := &drops{app: s.app()}
	for range 3 {
		d.OnDrop(&tickstorm.Drop{Count: 2})
	}
	require.True(t, d.app.console.end())
	require.Equal(t, 1, strings.Count(s.err.String(), "dropped"))
	d.sum()
	require.True(t, d.app.console.end())
	require.Contains(t, s.err.String(), "events=2\n")
	require.Contains(t, s.err.String(), "events=4\n")
}

// TestCodes: an error has the code of the first that it is.
func TestCodes(t *testing.T) {
	require.Equal(t, exitOK, codeOf(nil))
	require.Equal(t, exitFailure, codeOf(errors.New("x")))
	s := newScene(t)
	require.Equal(t, exitKey, fail(s.world, errors.Join(errors.New("one"), tickstorm.ErrAuthFailed)))
	require.Equal(t, 1, strings.Count(s.err.String(), "\n"), "one line: %s", s.err)
	require.Equal(t, exitPlan, codeOf(&tickstorm.StatusError{Code: tickstorm.StatusNoPlan}), "not the key is bad, but the plan")
	require.Equal(t, exitKey, codeOf(&tickstorm.StatusError{Code: tickstorm.StatusAuthFailed}))
	require.Equal(t, exitOK, codeOf(errTerminated))
	require.Equal(t, 7, codeOf(&exitError{7, ""}))
	lost := errors.New("lost")
	for _, ended := range []error{nil, errInterrupted, errTerminated} {
		require.Equal(t, exitFailure, codeOf(worse(ended, lost)), "what is lost at the end is a failure, whoever has ended it")
		require.Equal(t, ended, worse(ended, nil))
	}
	require.Equal(t, exitEvicted, codeOf(worse(tickstorm.ErrMaxConnections, lost)))
}
