package record

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// TestRecorderFaultsOfFrames: frames that end by their size between two messages fail one after
// the other, and nothing is lost or twice.
func TestRecorderFaultsOfFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &badDisk{torn: 1000}
		tp := newTape(t, func(cfg *Config) { cfg.fs = d })
		writes := 0
		d.set(func(op, _ string) error {
			if op == "write" {
				if writes++; writes%5 == 0 {
					return syscall.EIO
				}
			}
			return nil
		})
		filler := strings.Repeat("x", 1000)
		for n := range 20_000 {
			tp.OnMessage(fmt.Appendf(nil, `[{"ev":"T","q":%d},"%s"]`, n+1, filler[:n%1000]), time.Now().UnixNano())
			if n%1000 == 0 {
				time.Sleep(30 * time.Millisecond)
			}
			if n%100 == 0 {
				tp.OnState(numberedState(n))
			}
		}
		time.Sleep(10 * time.Second)
		d.set(nil)
		tp.end()
		require.NotEmpty(t, tp.told(EventError))
		require.Zero(t, tp.Stats().Dropped)
		require.Equal(t, upTo(20_000), tp.messages())
		states := 0
		for _, line := range tp.lines() {
			if strings.HasPrefix(line, "status: state ") {
				require.Equal(t, fmt.Sprintf("status: state %d", 100*states), line)
				states++
			}
		}
		require.Equal(t, 200, states)
	})
}

// TestRecorderHalfBroken: a disk that takes headers and no frames is not littered with segments
// that have nothing but these.
func TestRecorderHalfBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &badDisk{}
		tp := newTape(t, func(cfg *Config) { cfg.fs = d })
		headers := map[string]bool{filepath.Join(tp.dir, tp.segments()[0]): true}
		d.set(func(op, path string) error {
			if op == "write" && headers[path] {
				return syscall.ENOSPC
			}
			headers[path] = true
			return nil
		})
		tp.say(1)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.LessOrEqual(t, len(tp.segments()), 1)
		d.set(nil)
		tp.end()
		require.Equal(t, upTo(1), tp.messages())
		require.Len(t, tp.segments(), 1)
	})
}

// TestRecorderOrder: a segment is on the disk before it has its final name, and its folders are
// behind that, whatever the policy; the policies differ before.
func TestRecorderOrder(t *testing.T) {
	for _, c := range []struct {
		name  string
		sync  Sync
		syncs int // before it is closed
	}{{"never", SyncNever, 0}, {"interval", SyncInterval, 3}, {"frame", SyncFrame, 3}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &badDisk{}
				var mu sync.Mutex
				var ops []string
				d.fail = func(op, _ string) error {
					mu.Lock()
					defer mu.Unlock()
					ops = append(ops, op)
					return nil
				}
				tp := newTape(t, func(cfg *Config) { cfg.fs, cfg.Sync = d, c.sync })
				for n := range 3 {
					tp.say(n + 1)
					time.Sleep(2 * time.Second)
				}
				synctest.Wait()
				mu.Lock()
				syncs := strings.Count(strings.Join(ops, " "), "sync")
				ops = nil
				mu.Unlock()
				require.Equal(t, c.syncs, syncs)
				tp.end()
				text := strings.Join(ops, " ")
				require.True(t, strings.HasSuffix(text, "sync rename syncdir syncdir syncdir"), text)
			})
		})
	}
}

// rivalDisk has another process take each number at the moment at which it is taken.
type rivalDisk struct {
	disk
	rivals int
}

func (d *rivalDisk) Create(path string) (file, error) {
	f, err := d.disk.Create(path)
	if err == nil && d.rivals > 0 {
		d.rivals--
		rival := strings.Replace(path, "T000000.000Z", "T000000.001Z", 1)
		err = os.WriteFile(rival, nil, 0o600)
	}
	return f, err
}

// TestRecorderRivals: two processes that look at a folder at the same moment have different numbers
// in the end.
func TestRecorderRivals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := newTape(t, func(cfg *Config) { cfg.fs = &rivalDisk{rivals: 2} })
		tp.say(1)
		tp.end()
		require.Equal(t, []string{
			"stocks/2000-01-01/stocks-20000101T000000.000Z-000003.tsr.zst",
			"stocks/2000-01-01/stocks-20000101T000000.001Z-000001.tsr.zst.part",
			"stocks/2000-01-01/stocks-20000101T000000.001Z-000002.tsr.zst.part",
		}, tp.segments())
	})
}

// TestRecorderRetentionWaits: a segment is not removed while its hook runs.
func TestRecorderRetentionWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		tp := newTape(t, func(cfg *Config) {
			cfg.KeepTotal, cfg.Rotate = 1, time.Minute
			cfg.OnClosed = func(path string) {
				<-release
				require.FileExists(t, path)
			}
		})
		tp.say(1)
		time.Sleep(90 * time.Second)
		tp.say(2)
		time.Sleep(90 * time.Second)
		synctest.Wait()
		require.EqualValues(t, 2, tp.Stats().Segments)
		require.Zero(t, tp.Stats().Removed)
		close(release)
		tp.end()
		require.EqualValues(t, 2, tp.Stats().Removed)
	})
}

// numberedState is a change of state that is told as a status with its number.
func numberedState(n int) *tickstorm.StateChange {
	return &tickstorm.StateChange{State: tickstorm.StateBackoff, At: time.Now(), Err: fmt.Errorf("state %d", n)}
}

// TestRecorderMidnight: what came a moment after midnight begins the new day's folder, and the day
// before ends before that.
func TestRecorderMidnight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(10 * time.Millisecond)
		tp := newTape(t, nil)
		time.Sleep(24*time.Hour - 2*time.Second)
		tp.say(1)
		time.Sleep(2*time.Second - 10*time.Millisecond + 300*time.Microsecond)
		tp.say(2)
		time.Sleep(500 * time.Millisecond)
		tp.say(3)
		tp.end()
		require.Equal(t, []string{"1", "rotate", "2", "3", "status"}, tp.lines()[len(tp.lines())-5:])
		r, err := Open(tp.dir)
		require.NoError(t, err)
		defer r.Close()
		var got []string
		for e, err := range r.All(t.Context()) {
			require.NoError(t, err)
			switch {
			case e.Control != nil:
				got = append(got, string(e.Control.Kind))
			default:
				got = append(got, string(e.Raw))
			}
		}
		require.Equal(t, []string{`[{"ev":"T","q":1}]`, "rotate", `[{"ev":"T","q":2}]`, `[{"ev":"T","q":3}]`, "status"}, got[len(got)-5:])
	})
}

// TestRecorderLate: what was received before a segment's time was up, and comes to the recorder behind that, is
// in its order: the end of the one segment says nothing of the time that the next begins with.
func TestRecorderLate(t *testing.T) {
	for name, end := range map[string]func(*badDisk){
		"time is up": func(*badDisk) {},
		"no space": func(d *badDisk) {
			d.setFree(0)
			time.Sleep(2 * time.Second)
			d.setFree(1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &badDisk{free: 1}
				tp := newTape(t, func(cfg *Config) { cfg.fs, cfg.MinFree, cfg.Rotate = d, 1, 10*time.Second })
				tp.say(1)
				time.Sleep(5 * time.Second)
				received := time.Now().UnixNano()
				end(d)
				time.Sleep(6 * time.Second)
				require.NotEmpty(t, tp.told(EventClosed))
				tp.OnMessage([]byte(`[{"ev":"T","q":2}]`), received)
				tp.end()
				r, err := Open(tp.dir)
				require.NoError(t, err)
				defer r.Close()
				messages := 0
				for e, err := range r.All(t.Context()) {
					require.NoError(t, err)
					require.Nil(t, e.Damage)
					if e.Raw != nil {
						messages++
					}
				}
				require.Equal(t, 2, messages)
			})
		})
	}
}

// TestRecorderSyncLate: a sync that fails after its segment has ended is told, though the disk
// says it once.
func TestRecorderSyncLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &badDisk{}
		tp := newTape(t, func(cfg *Config) { cfg.fs, cfg.Rotate = d, 10*time.Second })
		stalled := false
		d.set(func(op, _ string) error {
			if op != "sync" || stalled {
				return nil
			}
			stalled = true
			d.mu.Unlock() // others go on
			time.Sleep(12 * time.Second)
			d.mu.Lock()
			return syscall.EIO
		})
		for n := range 20 {
			tp.say(n + 1)
			time.Sleep(time.Second)
		}
		_ = tp.Close(t.Context())
		require.NotEmpty(t, tp.told(EventError))
		require.ErrorIs(t, tp.told(EventError)[0].Err, syscall.EIO)
		require.Equal(t, upTo(20), tp.messages())
	})
}

// noTruncate is a disk whose files cannot be cut.
type noTruncate struct{ *badDisk }

type noTruncateFile struct{ file }

func (d noTruncate) Create(path string) (file, error) {
	f, err := d.badDisk.Create(path)
	return noTruncateFile{f}, err
}

func (noTruncateFile) Truncate(int64) error { return syscall.EIO }

// TestRecorderFooterFails: a footer that cannot be written has nothing before it written again.
func TestRecorderFooterFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &badDisk{}
		tp := newTape(t, func(cfg *Config) { cfg.fs = noTruncate{d} })
		tp.say(1)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		writes := 0
		d.set(func(op, _ string) error {
			if op == "write" {
				if writes++; writes == 2 { // the last frame, and the footer
					return syscall.ENOSPC
				}
			}
			return nil
		})
		tp.say(2)
		_ = tp.Close(t.Context())
		require.Equal(t, upTo(2), tp.messages())
	})
}
