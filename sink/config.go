package sink

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tickstorm/tickstorm"
)

// Config says how a [Runner] works. Its zero value means what the comments say.
type Config struct {
	// MaxRows and MaxBytes are what a batch has at most; default 4096 rows and 1 MiB. A row that is
	// longer is a batch of its own. Two batches are in memory.
	MaxRows, MaxBytes int
	// Linger is how long a row waits for others to make a whole batch; default 100 ms.
	Linger time.Duration
	// MinWait and MaxWait bound the wait before another try, which doubles from one to the next and
	// is shortened by up to half at random; default 100 ms and 10 s.
	MinWait, MaxWait time.Duration
	// MaxTries is how many times a batch is tried until the run ends with an [*AttemptsError]; 0 is
	// for ever: the recording is the buffer.
	MaxTries int
	// Flush is how often a [Flusher] is flushed, and FlushRows the number of rows after which it is
	// at the latest; default each 10 s and 128Ki rows.
	Flush     time.Duration
	FlushRows int
	// DeadLetters is the file for rows that the engine will never take, and MaxDead how many bytes it
	// may have; default 64 MiB. Without a file such a row ends the run, and so does one that has no
	// more room: nothing is thrown away.
	DeadLetters string
	MaxDead     int64
	// Symbols interns the rows' symbols; nil is a table of the runner's own.
	Symbols *tickstorm.Symbols
	// Logger receives retries and dead letters; nil is silent.
	Logger *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if c.MaxRows < 0 || c.MaxBytes < 0 || c.Linger < 0 || c.MinWait < 0 || c.MaxWait < 0 || c.MaxTries < 0 ||
		c.Flush < 0 || c.FlushRows < 0 || c.MaxDead < 0 {
		return c, errors.New("sink: a negative bound in the Config")
	}
	c.MaxRows = cmp.Or(c.MaxRows, 4096)
	c.MaxBytes = cmp.Or(c.MaxBytes, 1<<20)
	c.Linger = cmp.Or(c.Linger, 100*time.Millisecond)
	c.MinWait = cmp.Or(c.MinWait, 100*time.Millisecond)
	c.MaxWait = cmp.Or(c.MaxWait, max(c.MinWait, 10*time.Second))
	c.Flush = cmp.Or(c.Flush, 10*time.Second)
	c.FlushRows = cmp.Or(c.FlushRows, 128<<10)
	c.MaxDead = cmp.Or(c.MaxDead, 64<<20)
	if c.MaxWait < c.MinWait {
		return c, fmt.Errorf("sink: a MaxWait of %v below the MinWait of %v", c.MaxWait, c.MinWait)
	}
	if c.Symbols == nil {
		c.Symbols = tickstorm.NewSymbols(0)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}
