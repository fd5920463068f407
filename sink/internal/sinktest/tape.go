// Package sinktest has what the tests of all engines need: recordings that grow on demand, handlers
// that write down what they are told, consumers and sinks that can be killed, and a network that can be
// cut. What needs an engine's types is beside the engine.
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

// Record starts to record into cfg.Dir what a test says; who says it closes it.
func Record(t testing.TB, cfg record.Config) *record.Recorder {
	t.Helper()
	cfg.MinFree, cfg.Flush, cfg.Sync = -1, 10*time.Millisecond, record.SyncNever
	if cfg.Buffer == 0 {
		cfg.Buffer = 4 << 20
	}
	rec, err := record.NewRecorder(cfg)
	require.NoError(t, err)
	require.NoError(t, rec.Start())
	return rec
}

// Tape records what it is told to say: messages of three elements, whose q is a number for all.
type Tape struct {
	*record.Recorder
	Next int // the number of the next element; to be set before there is one

	t      testing.TB
	quotes bool
	mu     sync.Mutex // protects Next and what follows
	gaps   int
}

// Symbols are those of a tape, by the numbers of elements.
var Symbols = []string{"AAPL", "BRK.B", "MSFT", "A B*>", "Z%", "SPY", "QQQ", "TSLA"}

// NewTape records stocks to a folder, until the test ends: trades, and if quotes is set each third a
// quote.
func NewTape(t testing.TB, dir string, quotes bool) *Tape {
	t.Helper()
	tp := &Tape{Recorder: Record(t, record.Config{Dir: dir, Market: tickstorm.Stocks}), t: t, quotes: quotes}
	t.Cleanup(tp.End)
	return tp
}

// Recorded is a recording of so many messages in a folder of its own, and how many elements they have.
func Recorded(t testing.TB, quotes bool, messages int) (dir string, said int) {
	t.Helper()
	dir = t.TempDir()
	tp := NewTape(t, dir, quotes)
	tp.Say(messages)
	tp.End()
	return dir, tp.Said()
}

// Element is what a tape says of a trade.
func Element(number int) string {
	return fmt.Sprintf(`{"ev":"T","sym":%q,"p":1.5,"q":%d}`, Symbols[number%len(Symbols)], number)
}

// Say records messages.
func (tp *Tape) Say(messages int) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	for range messages {
		var elements []string
		for i := range 3 {
			if tp.quotes && i == 2 {
				elements = append(elements, fmt.Sprintf(`{"ev":"Q","sym":%q,"bp":1.5,"q":%d}`, Symbols[tp.Next%len(Symbols)], tp.Next))
			} else {
				elements = append(elements, Element(tp.Next))
			}
			tp.Next++
		}
		tp.OnMessage([]byte("["+strings.Join(elements, ",")+"]"), time.Now().UnixNano())
	}
}

// Gap records a gap, whose cause has its number.
func (tp *Tape) Gap() {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	tp.gaps++
	at := tickstorm.Moment{Received: time.Now()}
	tp.OnGap(&tickstorm.Gap{From: at, To: at, Cause: errors.New("EOF " + strconv.Itoa(tp.gaps)), Topics: []tickstorm.Topic{{Channel: "T", Symbol: "*"}}})
}

// Said is how many elements there are, with those before the first that was set.
func (tp *Tape) Said() int {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	return tp.Next
}

// Gaps is how many gaps there are.
func (tp *Tape) Gaps() int {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	return tp.gaps
}

// End ends the recording; again it does nothing.
func (tp *Tape) End() { require.NoError(tp.t, tp.Close(context.Background())) }
