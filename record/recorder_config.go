package record

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"time"

	"github.com/tickstorm/tickstorm"
)

// Config says what a [Recorder] writes, and where. Dir and Market are required; the zero value of
// every other field means what its comment says. There is no place in it for an API key.
type Config struct {
	// Dir is the folder that recordings are in. A market's segments are below it, in a folder of
	// the market with one folder a day (UTC):
	// stocks/2026-11-25/stocks-20261125T143000.000Z-000123.tsr.zst.
	Dir string
	// Market is the market of the client, Feed its host; default [tickstorm.RealTime].
	Market tickstorm.Market
	Feed   tickstorm.Feed
	// Topics are those that the client will ask for. They stand in the segments' headers until the
	// server has named those that it sends.
	Topics []tickstorm.Topic

	// Level is how hard to compress.
	Level Level
	// Buffer is how many bytes may wait for compression and disk, rounded up to a power of two;
	// default 64 MiB, at least 4 MiB. It is what carries the recording over a disk that stalls:
	// a second of 450,000 events. Messages that have no room are dropped, the newest first.
	Buffer int
	// Flush is how old a message may become in memory until it is written, compressed, to its
	// file, and so how much is lost when the process is killed; default 1 s.
	Flush time.Duration
	// Sync says when files are made to outlast a power cut; default SyncInterval.
	Sync Sync
	// SyncEvery is the interval of SyncInterval; default 1 s.
	SyncEvery time.Duration
	// Rotate is how long a segment lasts, in steps from midnight UTC on; default 1 h.
	Rotate time.Duration
	// RotateSize is the compressed size in bytes at which a segment is closed before its time, by
	// no more than a frame beyond; default 1 GiB.
	RotateSize int64
	// MinFree is how many bytes have to be free on the disk: below that nothing is written, which
	// [EventLowSpace] tells, until there is more. Default 1 GiB, negative for no minimum. It is
	// looked at once a second, on Linux, macOS and FreeBSD.
	MinFree int64

	// KeepFor and KeepTotal have closed segments of the market removed, the oldest first: those
	// whose last change is longer ago, and those beyond so many bytes in all. 0 keeps all. What is
	// not by name a closed segment of this market in a folder of a day is never touched.
	KeepFor   time.Duration
	KeepTotal int64

	// OnClosed, if not nil, is called with the path of each segment that was closed, and Command,
	// if not empty, is run with that path as its last argument, for no longer than CommandTimeout,
	// default 1 min. Both run one segment after the other, beside the recording; a segment is not
	// removed before they have ended.
	OnClosed       func(path string)
	Command        []string
	CommandTimeout time.Duration

	// OnEvent, if not nil, is told what happens to the recording, one call at a time, on a
	// goroutine that writes: as long as it takes, messages wait in the buffer.
	OnEvent func(RecorderEvent)

	fs fileSystem // nil is the system's; a test's breaks
}

// Sync is when the recorder has the system write files to the disk.
type Sync uint8

// The policies. A file is synced before it gets its final name in any case. A process that is
// killed loses no more with one than with another: what was written is the system's.
const (
	// SyncInterval: each Config.SyncEvery, beside the recording.
	SyncInterval Sync = iota
	// SyncFrame: behind each frame, which is waited for.
	SyncFrame
	// SyncNever: only before a segment gets its final name.
	SyncNever
)

// Errors of a Config.
var (
	ErrNoDir     = errors.New("record: no folder: set Config.Dir")
	ErrBadMarket = errors.New("record: market that cannot be a folder's name")
)

// marketName is what can be part of a path and of a name, on any system, and stays below its folder.
var marketName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}(/[A-Za-z0-9][A-Za-z0-9_-]{0,63})*$`)

// goodMarket reports whether a market can be recorded: names of files, cursors and whatever is made of
// these have it.
func goodMarket(m string) bool { return len(m) <= maxMarket && marketName.MatchString(m) }

const (
	minBuffer = 4 << 20
	maxBuffer = 1 << 30
)

func (c Config) withDefaults() (Config, string, error) {
	if c.Dir == "" {
		return c, "", ErrNoDir
	}
	if !goodMarket(string(c.Market)) {
		return c, "", fmt.Errorf("%w: %.80q", ErrBadMarket, c.Market)
	}
	c.Feed = cmp.Or(c.Feed, tickstorm.RealTime)
	feed, err := url.Parse(string(c.Feed))
	if err != nil || feed.Host == "" { // what was parsed may have a secret in it
		return c, "", tickstorm.ErrBadFeed
	}
	c.Buffer = cmp.Or(c.Buffer, 64<<20)
	c.Flush = cmp.Or(c.Flush, time.Second)
	c.SyncEvery = cmp.Or(c.SyncEvery, time.Second)
	c.Rotate = cmp.Or(c.Rotate, time.Hour)
	c.RotateSize = cmp.Or(c.RotateSize, 1<<30)
	c.MinFree = cmp.Or(c.MinFree, 1<<30)
	c.CommandTimeout = cmp.Or(c.CommandTimeout, time.Minute)
	c.MinFree = max(0, c.MinFree)
	if c.fs == nil {
		c.fs = disk{}
	}
	switch {
	case c.Buffer < minBuffer || c.Buffer > maxBuffer:
		err = fmt.Errorf("record: a Buffer of %d bytes; it can have %d to %d", c.Buffer, minBuffer, maxBuffer)
	case c.Flush < minFlush || c.SyncEvery < minFlush || c.Rotate < minFlush || c.CommandTimeout < 0:
		err = fmt.Errorf("record: a Flush of %v, SyncEvery of %v, Rotate of %v or CommandTimeout of %v: the least are %v, and 0",
			c.Flush, c.SyncEvery, c.Rotate, c.CommandTimeout, minFlush)
	case c.RotateSize < 0 || c.KeepFor < 0 || c.KeepTotal < 0:
		err = errors.New("record: a negative bound in the Config")
	case c.Sync > SyncNever:
		err = fmt.Errorf("record: a Sync of %d", c.Sync)
	case c.Level > LevelBest:
		err = fmt.Errorf("record: a Level of %d", c.Level)
	}
	return c, feed.Host, err
}

// minFlush is the least of the intervals.
const minFlush = 10 * time.Millisecond
