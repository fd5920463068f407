package nats_test

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

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/leak"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sink"
	sinknats "github.com/tickstorm/tickstorm/sink/nats"
	"github.com/tickstorm/tickstorm/sink/nats/embedded"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// patience is a net against hangs.
const patience = 3 * time.Minute

// turns is how often a test goes through what goes wrong at random.
func turns(t *testing.T, few int) int {
	text := os.Getenv("TICKSTORM_KILLS")
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(20, seed)) }

// start starts servers for a test.
func start(t testing.TB, nodes int) *embedded.Cluster {
	t.Helper()
	c, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Nodes: nodes, Patience: patience})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func connect(t testing.TB, c *embedded.Cluster, options ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := c.Connect(options...)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// tape records what it is told to say: messages of three trades, whose q is a number for all.
type tape struct {
	*record.Recorder
	t    testing.TB
	mu   sync.Mutex
	next int
	gaps int
}

var symbols = []string{"AAPL", "BRK.B", "MSFT", "A B*>", "Z%", "SPY", "QQQ", "TSLA"}

func newTape(t testing.TB, dir string) *tape {
	t.Helper()
	rec, err := record.NewRecorder(record.Config{Dir: dir, Market: tickstorm.Stocks, MinFree: -1, Buffer: 4 << 20, Flush: 10 * time.Millisecond, Sync: record.SyncNever})
	require.NoError(t, err)
	require.NoError(t, rec.Start())
	tp := &tape{Recorder: rec, t: t}
	t.Cleanup(tp.end)
	return tp
}

func (tp *tape) say(messages int) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	for range messages {
		var elements []string
		for range 3 {
			elements = append(elements, fmt.Sprintf(`{"ev":"T","sym":%q,"p":1.5,"q":%d}`, symbols[tp.next%len(symbols)], tp.next))
			tp.next++
		}
		tp.OnMessage([]byte("["+strings.Join(elements, ",")+"]"), time.Now().UnixNano())
	}
}

func (tp *tape) gap() {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	tp.gaps++
	at := tickstorm.Moment{Received: time.Now()}
	tp.OnGap(&tickstorm.Gap{From: at, To: at, Cause: errors.New("EOF " + strconv.Itoa(tp.gaps))})
}

func (tp *tape) said() int {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	return tp.next
}

func (tp *tape) end() { require.NoError(tp.t, tp.Close(context.Background())) }

// books are what the handlers of all consumers were told.
type books struct {
	mu     sync.Mutex
	told   map[int64]int    // times, by number
	gaps   map[string]int   // times, by cause
	last   map[string]int64 // number, by symbol
	wrong  []string
	trades int
}

func newBooks() *books {
	return &books{told: map[int64]int{}, gaps: map[string]int{}, last: map[string]int64{}}
}

// ear is a handler that writes into books.
type ear struct {
	tickstorm.NopHandler
	*books
}

func (e ear) OnTrade(tr *tickstorm.Trade) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.trades++
	e.told[tr.Sequence]++
	if last, ok := e.last[tr.Symbol]; ok && tr.Sequence <= last {
		e.wrong = append(e.wrong, fmt.Sprintf("%s: %d behind %d", tr.Symbol, tr.Sequence, last))
	}
	e.last[tr.Symbol] = tr.Sequence
	if want := symbols[int(tr.Sequence)%len(symbols)]; tr.Symbol != want || !tr.Replayed || tr.Received == 0 {
		e.wrong = append(e.wrong, fmt.Sprintf("%d of %s: %s", tr.Sequence, tr.Symbol, tr.Raw))
	}
}

func (e ear) OnGap(g *tickstorm.Gap) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gaps[g.Cause.Error()]++
}

func (b *books) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.told)
}

// whole waits until all was told, and requires that it was so once, in order.
func (b *books) whole(t *testing.T, said, gaps, partitions int) {
	t.Helper()
	b.await(t, said)
	require.Eventually(t, func() bool { // notices come in each partition, and are nobody's last word
		b.mu.Lock()
		defer b.mu.Unlock()
		told := 0
		for _, times := range b.gaps {
			told += times
		}
		return told >= gaps*partitions
	}, patience, 5*time.Millisecond)
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(t, b.wrong)
	require.Len(t, b.told, said)
	for n, times := range b.told {
		require.Equal(t, 1, times, "number %d", n)
	}
	require.Len(t, b.gaps, gaps, b.gaps)
	for cause, times := range b.gaps {
		require.Equal(t, partitions, times, cause)
	}
}

func (b *books) await(t *testing.T, said int) {
	t.Helper()
	require.Eventually(t, func() bool { return b.count() >= said }, patience, 5*time.Millisecond, "told %d of %d", b.count(), said)
}

// runs is something that runs until it is stopped.
type runs struct {
	stop func(context.Context) error
	kill context.CancelFunc
	over chan error
}

func (r *runs) halt(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, r.stop(ctx))
	require.NoError(t, <-r.over)
}

func (r *runs) killed() {
	r.kill()
	<-r.over
}

// goSink runs a sink of a folder.
func goSink(t *testing.T, nc *nats.Conn, dir, cursor string, follow bool, cfg sinknats.Config) *runs {
	t.Helper()
	engine, err := sinknats.NewEngine(nc, cfg)
	require.NoError(t, err)
	folder := sink.FolderConfig{Paths: []string{dir}, Cursor: cursor}
	if follow {
		folder.Follow = 5 * time.Millisecond
	}
	r, err := sink.NewRunner(engine, sink.NewFolder(folder), sink.Config{MaxRows: 64, Linger: 5 * time.Millisecond, MinWait: 5 * time.Millisecond, MaxWait: time.Second})
	require.NoError(t, err)
	ctx, kill := context.WithCancel(context.Background())
	out := &runs{r.Stop, kill, make(chan error, 1)}
	go func() {
		err := r.Run(ctx)
		_ = engine.Close()
		kill()
		out.over <- err
	}()
	return out
}

// goConsumer runs a consumer.
func goConsumer(t *testing.T, nc *nats.Conn, cfg sinknats.ConsumerConfig) *runs {
	t.Helper()
	cfg.Market = tickstorm.Stocks
	if cfg.Lease == 0 {
		cfg.Lease = time.Second
	}
	if cfg.Save == 0 {
		cfg.Save = 10 * time.Millisecond
	}
	c, err := sinknats.NewConsumer(nc, cfg)
	require.NoError(t, err)
	ctx, kill := context.WithCancel(context.Background())
	out := &runs{c.Stop, kill, make(chan error, 1)}
	go func() {
		err := c.Run(ctx)
		kill()
		out.over <- err
	}()
	return out
}
