package sink_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/internal/leak"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
)

// The program that TestKills kills is the test binary started again with this in its environment: the
// folder of a recording, and one for the cursor and what the engine has.
const killVariable = "TICKSTORM_SINK_MAIN"

func TestMain(m *testing.M) {
	if folders := os.Getenv(killVariable); folders != "" {
		recording, state, _ := strings.Cut(folders, "\n")
		if err := sinkMain(recording, state); err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	os.Exit(leak.Main(m))
}

// lines is an engine that adds the stamps of rows to a file.
type lines struct{ file *os.File }

func (l lines) Write(_ context.Context, b *sink.Batch) error {
	var text []byte
	for i := range b.Rows {
		text = append(b.Rows[i].AppendStamp(text), " .\n"...)
	}
	if _, err := l.file.Write(text); err != nil {
		return err
	}
	_, err := os.Stdout.WriteString("a batch\n")
	return err
}

func sinkMain(recording, state string) error {
	f, err := os.OpenFile(filepath.Join(state, "lines"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.WriteString("\n"); err != nil { // behind what may be torn
		return err
	}
	folder := sink.NewFolder(sink.FolderConfig{Paths: []string{recording}, Cursor: filepath.Join(state, "cursor"), Save: 3 * time.Millisecond})
	r, err := sink.NewRunner(lines{f}, folder, sink.Config{MaxRows: 3, Linger: time.Nanosecond})
	if err != nil {
		return err
	}
	return r.Run(context.Background())
}

// TestKills kills a process at any moment, again and again: its successor takes the lock, reads a
// cursor that is whole, and in the end all is there, in order.
func TestKills(t *testing.T) {
	dir, state := recording(t, 3, 700), t.TempDir()
	want := inside(t, dir)
	random := sinktest.Random(1)
	killed := 0
	for over := false; !over; {
		life, n := 1+random.IntN(400), 0 // batches, of some thousands; in the end no more are killed
		said, err := sinktest.Program(t, killVariable+"="+dir+"\n"+state, func(_ string, kill func()) {
			if n++; n == life && killed < sinktest.Turns(t, 30) {
				kill()
				killed++
			}
		})
		over = err == nil
		require.Empty(t, said, "what it said when it ended by itself")
	}
	require.NotZero(t, killed)
	text, err := os.ReadFile(filepath.Join(state, "lines"))
	require.NoError(t, err)
	var marks sink.Marks
	var got []string
	for line := range strings.SplitSeq(string(text), "\n") {
		line, whole := strings.CutSuffix(line, " .")
		s, err := sink.ParseStamp(line, nil)
		if !whole || err != nil || marks.Cover(&s.ID) {
			continue
		}
		marks.Add(&s.ID)
		got = append(got, line)
	}
	require.Equal(t, len(want), len(got))
	for i := range want {
		require.Equal(t, want[i].stamp, got[i])
	}
}
