package parquet_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/leak"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
	"github.com/tickstorm/tickstorm/sink/parquet"
)

// The program that TestKills kills is the test binary started again with this in its environment: the
// folder of a recording, and one for the parts.
const killVariable = "TICKSTORM_PARQUET_MAIN"

func TestMain(m *testing.M) {
	if folders := os.Getenv(killVariable); folders != "" {
		from, to, _ := strings.Cut(folders, "\n")
		if err := killedMain(from, to); err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	os.Exit(leak.Main(m))
}

// talking is a file that says what is done to it.
type talking struct{ parquet.File }

func say(what string) { _, _ = os.Stdout.WriteString(what + "\n") }

func (f talking) Write(b []byte) (int, error) { say("write"); return f.File.Write(b) }
func (f talking) Sync() error                 { say("sync"); return f.File.Sync() }
func (f talking) Close() error                { say("close"); return f.File.Close() }

// killable is what is killed, and what is not: parts of few rows.
func killable(from, to string) parquet.Config {
	return parquet.Config{From: []string{from}, To: to, RowGroup: 50, MaxOpen: 2}
}

func killedMain(from, to string) error {
	cfg := killable(from, to)
	cfg.Creating(func(path string) (parquet.File, error) {
		say("create")
		f, err := parquet.Create(path)
		return talking{f}, err
	})
	s, err := parquet.New(cfg)
	if err != nil {
		return err
	}
	err = s.Run(context.Background())
	fmt.Println("over")
	return err
}

// TestKills kills a process at any moment, again and again: in the end there is, to the byte, what is
// there when nobody is killed, which TestBounds holds against the recording.
func TestKills(t *testing.T) {
	dir, want, got := recording(t, tickstorm.Stocks, 3, 10, 30, "T", "Q"), t.TempDir(), t.TempDir()
	convert(t, killable(dir, want))
	random := sinktest.Random(1)
	killed, kills := 0, sinktest.Turns(t, 12)
	steps := 0 // of a life that nobody ended
	for {
		life, n, over := random.IntN(50), -1, false
		said, err := sinktest.Program(t, killVariable+"="+dir+"\n"+got, func(line string, kill func()) {
			n++
			over = over || line == "over"
			if n == life && killed < kills {
				kill()
				killed++
			}
			steps = max(steps, n)
		})
		require.Empty(t, said, "what it said when it ended by itself")
		if err == nil || over {
			requireSame(t, want, got)
			if killed >= kills {
				break
			}
			got = t.TempDir()
		}
	}
	t.Logf("%d killed, of as many as %d steps", killed, steps)
}
