package sink_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/internal/leak"
	"github.com/tickstorm/tickstorm/sink"
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
	_, err := l.file.Write(text)
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
	random := random(1)
	killed := 0 // at least once, as all takes longer than the shortest life
	for over := false; !over; {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), killVariable+"="+dir+"\n"+state)
		var said bytes.Buffer
		cmd.Stderr = &said
		require.NoError(t, cmd.Start())
		timer := time.AfterFunc(time.Duration(random.Int64N(int64(60*time.Millisecond))), func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		timer.Stop()
		over = err == nil
		if !over {
			killed++
			require.Empty(t, said.String(), "it has ended by itself")
		}
		if killed > turns(t, 30) { // enough
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), killVariable+"="+dir+"\n"+state)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, string(out))
			over = true
		}
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
