package sink_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
)

// recording makes a recording of some segments in a folder of its own.
func recording(t *testing.T, segments, messages int) string {
	t.Helper()
	dir := t.TempDir()
	next := 0
	for range segments {
		tp := sinktest.NewTape(t, dir, false)
		tp.Next = next
		tp.Say(messages / 2)
		tp.Gap()
		tp.Say(messages - messages/2)
		next = tp.Said()
		tp.End()
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

func cursorIn(t *testing.T) string { return filepath.Join(t.TempDir(), "state", "cursor") }
