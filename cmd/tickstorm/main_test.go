package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/internal/leak"
)

var update = flag.Bool("update", false, "write the golden files")

// asProcess has the test binary be the program.
const asProcess = "TICKSTORM_TEST_PROCESS"

func TestMain(m *testing.M) {
	if os.Getenv(asProcess) != "" {
		os.Exit(process(context.Background(), os.Args[1:]))
	}
	os.Exit(leak.Main(m))
}

// patience is a net against hangs.
const patience = time.Minute

// day is when everything happens that the simulator makes up.
var day = time.Date(2026, 11, 25, 14, 30, 0, 0, time.UTC)

// A scene is a world of a test's own.
type scene struct {
	*world
	out, err *buffer
}

// newScene has no key, no terminal and no configuration.
func newScene(t *testing.T) *scene {
	s := &scene{out: newBuffer(), err: newBuffer()}
	s.world = &world{
		stdin: strings.NewReader(""), stdout: s.out, stderr: s.err,
		env: func(string) string { return "" }, now: func() time.Time { return day }, simNow: func() time.Time { return day },
		home: t.TempDir(), hangups: func() (<-chan os.Signal, func()) { return nil, func() {} },
	}
	return s
}

// with sets variables of the environment.
func (s *scene) with(variables ...string) *scene {
	set := map[string]string{}
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		set[name] = value
	}
	s.env = func(name string) string { return set[name] }
	return s
}

// app is a run of the program without a command.
func (s *scene) app() *app { return newApp(s.world, &console{w: s.err}, globals{}) }

// run runs a command to its end.
func (s *scene) run(t *testing.T, args ...string) int {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, io.ErrNoProgress)
	defer cancel()
	code := run(ctx, args, s.world)
	require.NoError(t, ctx.Err(), "it has not ended: %s", s.err)
	return code
}

// until runs a command until its output or its log has a text, and then interrupts it.
func (s *scene) until(t *testing.T, b *buffer, text string, args ...string) int {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	code := make(chan int, 1)
	go func() { code <- run(ctx, args, s.world) }()
	if !b.await(text) {
		cancel(errInterrupted)
		require.Fail(t, "it does not come", "%q in %q; stderr %s", text, b, s.err)
	}
	cancel(errInterrupted)
	select {
	case c := <-code:
		return c
	case <-time.After(patience):
		require.Fail(t, "it does not end when it is interrupted")
		return 0
	}
}

// buffer is what was written, which may be looked at meanwhile.
type buffer struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newBuffer() *buffer { return &buffer{changed: make(chan struct{})} }

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.changed)
	b.changed = make(chan struct{})
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// await waits until a text is there; false if it does not come.
func (b *buffer) await(text string) bool {
	late := time.After(patience)
	for {
		b.mu.Lock()
		there, changed := strings.Contains(b.text.String(), text), b.changed
		b.mu.Unlock()
		if there {
			return true
		}
		select {
		case <-changed:
		case <-late:
			return false
		}
	}
}

// What differs from run to run.
var (
	nanos     = regexp.MustCompile(`\b1[0-9]{18}\b`)
	logTime   = regexp.MustCompile(`time=\S+`)
	temporary = regexp.MustCompile(`[^\s"=]*tickstorm-demo-\d+`)
	address   = regexp.MustCompile(`127\.0\.0\.1:\d+`)
	dayNanos  = regexp.MustCompile(`^17956169|^17956170`) // of the simulator's clock, which stands
)

// settled is a text without that.
func settled(s string) string {
	s = nanos.ReplaceAllStringFunc(s, func(n string) string {
		if dayNanos.MatchString(n) {
			return n
		}
		return "RECEIVED"
	})
	s = temporary.ReplaceAllString(s, "TMP")
	s = logTime.ReplaceAllString(s, "time=TIME")
	return address.ReplaceAllString(s, "ADDRESS")
}

// golden holds a text against that of a file.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "go test -update makes it")
	require.Equal(t, string(want), text)
}
