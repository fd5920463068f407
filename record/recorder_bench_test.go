package record

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// BenchmarkTap measures what a message of 20 stock events costs the goroutine that reads, in
// turns with a memcpy of the same bytes through as much memory: "x-memcpy" is the ratio of the
// medians. It has to be below 2.
//
//	go test -run '^$' -bench Tap -benchtime 200x .
func BenchmarkTap(b *testing.B) {
	corpus, err := sim.Corpus("stocks20", 20_000, 1)
	if err != nil {
		b.Fatal(err)
	}
	messages := corpus[:0]
	for _, msg := range corpus {
		if len(msg) >= 2500 && len(msg) < 2700 {
			messages = append(messages, msg)
		}
	}
	for _, size := range []int{minBuffer, 64 << 20} {
		b.Run(fmt.Sprintf("buffer=%dMiB", size>>20), func(b *testing.B) {
			r, err := NewRecorder(Config{Dir: "never started", Market: tickstorm.Stocks, Buffer: size})
			if err != nil {
				b.Fatal(err)
			}
			r.buf.touch()
			plain := make([]byte, size)
			for i := range plain {
				plain[i] = 1
			}
			const batch = 1000
			var tap, memcpy []float64
			at := 0
			b.ReportAllocs()
			for b.Loop() {
				started := time.Now()
				for i := range batch {
					r.OnMessage(messages[i%len(messages)], int64(i))
				}
				tap = append(tap, float64(time.Since(started).Nanoseconds())/batch)
				r.buf.release(r.buf.put, 0)

				started = time.Now()
				for i := range batch {
					msg := messages[i%len(messages)]
					if at+len(msg) > len(plain) {
						at = 0
					}
					copy(plain[at:], msg)
					at += len(msg)
				}
				memcpy = append(memcpy, float64(time.Since(started).Nanoseconds())/batch)
			}
			if r.Stats().Dropped > 0 {
				b.Fatal("messages had no room")
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(tap), "ns/message")
			b.ReportMetric(median(memcpy), "ns/memcpy")
			b.ReportMetric(median(tap)/median(memcpy), "x-memcpy")
		})
	}
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// BenchmarkRecord records stocks20 from its memory to a file that is closed, at each level, and
// beside it what users have: gzip lines through bufio. "of-zstd-3" is the size of the file by that
// of "zstd -3" on the lines that are in it, which has to be at most 1.1.
//
//	GOMAXPROCS=1 go test -run '^$' -bench Record -benchtime 5x .
func BenchmarkRecord(b *testing.B) {
	const events = 1_000_000
	messages, err := sim.Corpus("stocks20", events, 1)
	if err != nil {
		b.Fatal(err)
	}
	raw := 0
	for _, msg := range messages {
		raw += len(msg)
	}
	report := func(b *testing.B, size int64) {
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		b.ReportMetric(float64(raw)/float64(size), "ratio")
	}
	for _, level := range []struct {
		name  string
		level Level
	}{{"fastest", LevelFastest}, {"default", LevelDefault}, {"better", LevelBetter}} {
		b.Run(level.name, func(b *testing.B) {
			dir := b.TempDir()
			var stats Stats
			for b.Loop() {
				stats = recordAll(b, Config{Dir: dir, Market: tickstorm.Stocks, Level: level.level, MinFree: -1}, messages)
			}
			report(b, int64(stats.Written))
			if three := zstd3(b, dir); three > 0 {
				b.ReportMetric(float64(stats.Written)/float64(three), "of-zstd-3")
			}
		})
	}
	b.Run("gzip lines", func(b *testing.B) {
		path := filepath.Join(b.TempDir(), "lines.gz")
		for b.Loop() {
			f, err := os.Create(path)
			if err != nil {
				b.Fatal(err)
			}
			lines := bufio.NewWriter(f)
			packed := gzip.NewWriter(lines)
			for i, msg := range messages {
				fmt.Fprintf(packed, "%d %s\n", i, msg)
			}
			for _, end := range []func() error{packed.Close, lines.Flush, f.Sync, f.Close} {
				if err := end(); err != nil {
					b.Fatal(err)
				}
			}
		}
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		report(b, info.Size())
	})
}

// recordAll records messages as fast as they are written.
func recordAll(b *testing.B, cfg Config, messages [][]byte) Stats {
	r, err := NewRecorder(cfg)
	if err != nil {
		b.Fatal(err)
	}
	if err := r.Start(); err != nil {
		b.Fatal(err)
	}
	at := time.Now().UnixNano()
	for _, msg := range messages {
		for r.buf.fill() > uint64(len(r.buf.buf))/2 {
			r.buf.rouse()
			runtime.Gosched()
		}
		r.OnMessage(msg, at)
		at += 400_000
	}
	if err := r.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	stats := r.Stats()
	if stats.Messages != uint64(len(messages)) {
		b.Fatalf("%d of %d messages", stats.Messages, len(messages))
	}
	return stats
}

// zstd3 is the size that "zstd -3" makes of the lines of a segment, 0 if there is no zstd.
func zstd3(b *testing.B, dir string) int {
	tool, err := exec.LookPath("zstd")
	if err != nil {
		b.Log("no zstd")
		return 0
	}
	names, err := filepath.Glob(filepath.Join(dir, "*", "*", "*"+Suffix))
	if err != nil || len(names) == 0 {
		b.Fatal("no segment: ", err)
	}
	f, err := os.Open(names[0])
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	lines, err := zstd.NewReader(f)
	if err != nil {
		b.Fatal(err)
	}
	defer lines.Close()
	var out bytes.Buffer
	cmd := exec.Command(tool, "-3", "-c")
	cmd.Stdin, cmd.Stdout = lines, &out
	if err := cmd.Run(); err != nil {
		b.Fatal(err)
	}
	return out.Len()
}
