// Package sinktest has what the tests of all engines need: recordings that grow on demand, handlers
// that write down what they are told, and a network that can be cut.
package sinktest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
)

// Patience is a net against hangs.
const Patience = 3 * time.Minute

// Turns is how often a test goes through what goes wrong at random: few times, unless TICKSTORM_KILLS
// says another number.
func Turns(t testing.TB, few int) int {
	text := os.Getenv("TICKSTORM_KILLS")
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

// Random is chance that repeats itself.
func Random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(20, seed)) }

// Tape records what it is told to say: messages of three elements, whose q is a number for all.
type Tape struct {
	*record.Recorder
	t      testing.TB
	quotes bool

	mu   sync.Mutex // protects what follows
	next int
	gaps int
}

// Symbols are those of a tape.
var Symbols = []string{"AAPL", "BRK.B", "MSFT", "A B*>", "Z%", "SPY", "QQQ", "TSLA"}

// NewTape records to a folder, until the test ends: trades, and if quotes is set each third a quote.
func NewTape(t testing.TB, dir string, quotes bool) *Tape {
	t.Helper()
	rec, err := record.NewRecorder(record.Config{Dir: dir, Market: tickstorm.Stocks, MinFree: -1, Buffer: 4 << 20, Flush: 10 * time.Millisecond, Sync: record.SyncNever})
	require.NoError(t, err)
	require.NoError(t, rec.Start())
	tp := &Tape{Recorder: rec, t: t, quotes: quotes}
	t.Cleanup(tp.End)
	return tp
}

// Say records messages.
func (tp *Tape) Say(messages int) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	for range messages {
		var elements []string
		now := time.Now()
		for i := range 3 {
			symbol := Symbols[tp.next%len(Symbols)]
			if tp.quotes && i == 2 {
				elements = append(elements, fmt.Sprintf(`{"ev":"Q","sym":%q,"bp":1.5,"q":%d,"t":%d}`, symbol, tp.next, now.UnixMilli()))
			} else {
				elements = append(elements, fmt.Sprintf(`{"ev":"T","sym":%q,"p":1.5,"q":%d,"t":%d}`, symbol, tp.next, now.UnixMilli()))
			}
			tp.next++
		}
		tp.OnMessage([]byte("["+strings.Join(elements, ",")+"]"), now.UnixNano())
	}
}

// Gap records a gap.
func (tp *Tape) Gap() {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	tp.gaps++
	at := tickstorm.Moment{Received: time.Now()}
	tp.OnGap(&tickstorm.Gap{From: at, To: at, Cause: errors.New("EOF " + strconv.Itoa(tp.gaps))})
}

// Said is how many elements there are.
func (tp *Tape) Said() int {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	return tp.next
}

// Gaps is how many gaps there are.
func (tp *Tape) Gaps() int {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	return tp.gaps
}

// End ends the recording.
func (tp *Tape) End() { require.NoError(tp.t, tp.Close(context.Background())) }
