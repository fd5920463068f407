package sink_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sink"
)

// turns is how often a test goes through what goes wrong at random.
func turns(t *testing.T, few int) int {
	text := os.Getenv("TICKSTORM_KILLS")
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

// recorder is a recorder of a test's, with the number of the next message.
type recorder struct {
	*record.Recorder
	t    *testing.T
	next int
}

// newRecorder starts to record a market into dir.
func newRecorder(t *testing.T, dir string, m tickstorm.Market) *recorder {
	t.Helper()
	rec, err := record.NewRecorder(record.Config{Dir: dir, Market: m, MinFree: -1, Buffer: 4 << 20, Flush: 10 * time.Millisecond, Sync: record.SyncNever})
	require.NoError(t, err)
	require.NoError(t, rec.Start())
	r := &recorder{Recorder: rec, t: t}
	t.Cleanup(r.end)
	return r
}

var symbols = []string{"AAPL", "BRK.B", "MSFT", "A B*>", "Z%"}

// say records messages of three elements each.
func (r *recorder) say(messages int) {
	for range messages {
		var elements []string
		for range 3 {
			elements = append(elements, fmt.Sprintf(`{"ev":"T","sym":%q,"p":1.5,"q":%d}`, symbols[r.next%len(symbols)], r.next))
			r.next++
		}
		r.OnMessage([]byte("["+strings.Join(elements, ",")+"]"), time.Now().UnixNano())
	}
}

// gap records a gap.
func (r *recorder) gap() {
	at := time.Now()
	r.OnGap(&tickstorm.Gap{From: tickstorm.Moment{Received: at}, To: tickstorm.Moment{Received: at}, Cause: errors.New("EOF"), Topics: []tickstorm.Topic{{Channel: "T", Symbol: "*"}}})
}

func (r *recorder) end() { require.NoError(r.t, r.Close(context.Background())) }

// recording makes a recording of some segments in a folder of its own.
func recording(t *testing.T, segments, messages int) string {
	t.Helper()
	dir := t.TempDir()
	next := 0
	for range segments {
		r := newRecorder(t, dir, tickstorm.Stocks)
		r.next = next
		r.say(messages / 2)
		r.gap()
		r.say(messages - messages/2)
		next = r.next
		r.end()
	}
	return dir
}

// kept is a row that an engine has, to keep.
type kept struct {
	id              sink.ID
	stamp, raw      string
	channel, symbol string
	notice          sink.NoticeKind
}

func keep(r *sink.Row) kept {
	k := kept{id: r.ID, stamp: string(r.AppendStamp(nil)), raw: string(r.Raw), channel: r.Channel, symbol: r.Symbol}
	if r.Notice != nil {
		k.notice = r.Notice.Kind
	}
	return k
}

// inside are the rows of a recording, as its reader has them.
func inside(t *testing.T, dir string) []kept {
	t.Helper()
	e := &memory{}
	run(t, e, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}}), sink.Config{})
	return e.rows
}

// run runs a runner to its end.
func run(t *testing.T, e sink.Engine, s sink.Source, cfg sink.Config) sink.Stats {
	t.Helper()
	r, err := sink.NewRunner(e, s, cfg)
	require.NoError(t, err)
	require.NoError(t, r.Run(t.Context()))
	return r.Stats()
}

// memory is an engine that keeps rows.
type memory struct {
	mu      sync.Mutex
	rows    []kept
	batches []int
	// fail, if not nil, is asked before a batch is taken; what it returns with an error has so
	// many rows of the batch taken all the same.
	fail func(b *sink.Batch) (taken int, err error)
}

func (m *memory) Write(_ context.Context, b *sink.Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := len(b.Rows), error(nil)
	if m.fail != nil {
		if taken, ferr := m.fail(b); ferr != nil {
			n, err = taken, ferr
		}
	}
	for i := range b.Rows[:n] {
		m.rows = append(m.rows, keep(&b.Rows[i]))
	}
	if err == nil {
		m.batches = append(m.batches, len(b.Rows))
	}
	return err
}

func (m *memory) all() []kept {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]kept(nil), m.rows...)
}

// requireRows compares rows, and shows the first that differ.
func requireRows(t *testing.T, want, got []kept, what ...any) {
	t.Helper()
	for i := range min(len(want), len(got)) {
		require.Equal(t, want[i], got[i], what...)
	}
	require.Equal(t, len(want), len(got), what...)
}

// seenOnce is what is left of rows when those are dropped that marks cover, in their order.
func seenOnce(rows []kept) (once []kept) {
	var marks sink.Marks
	for _, r := range rows {
		if !marks.Cover(&r.id) {
			marks.Add(&r.id)
			once = append(once, r)
		}
	}
	return once
}

// deadLetters reads a file of them.
func deadLetters(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(20, seed)) }

func cursorIn(t *testing.T) string { return filepath.Join(t.TempDir(), "state", "cursor") }
