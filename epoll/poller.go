package epoll

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/sock"
)

// Config configures a [Poller]. The zero value is a poller with the defaults
// below, and everything that costs something beside turned off.
type Config struct {
	// Budget is how many bytes are read of one connection before the others get their
	// turn; default 64 KiB, some 50 µs of work. It bounds by how much a busy connection
	// delays the others; more keeps a connection's tables in the cache for longer, which
	// tells when all of them are busy.
	Budget int
	// Spin is how many times the kernel is asked for news without waiting, before each
	// wait; default 0. A look takes some 300 ns. Negative means never to wait: the thread
	// is then always busy, and what comes is seen at once.
	Spin int
	// CPUs are the processors that the thread of [Poller.Run] may use; none means any.
	CPUs []int
	// BusyPoll has the wait poll the network card for so long before it sleeps, and
	// BusyPollBudget is how many packets a poll may take, 0 being the kernel's default
	// (EPIOCSPARAMS, since Linux 6.9). The card's driver has to support it.
	BusyPoll       time.Duration
	BusyPollBudget int
	// BacklogEvery is how often the bytes that wait in the kernel are counted, for
	// [Stats]; default 0, never. It takes a system call for each connection.
	BacklogEvery time.Duration
}

// Stats is what a [Poller] has done.
type Stats struct {
	// Connections are those that it drives, and Clients the reconnecting ones, also
	// those that are not connected.
	Connections, Clients int
	// Wakes are the times that the kernel was asked for news and had some.
	Wakes uint64
	// Spent are the turns of connections that used up their budget.
	Spent uint64
	// Backlog is how many bytes were found waiting in the kernel, for all connections
	// together and before they were read; MaxBacklog is the most there ever were. See
	// Config.BacklogEvery.
	Backlog, MaxBacklog int
}

// Poller drives many connections on one thread, by epoll: those that were detached, and
// reconnecting ones of its own. Handlers of all of them are called on that thread, one
// at a time; a slow one delays all. It is for Linux.
//
// The thread is that of Run, or of whoever calls Poll. All methods may be called
// from any goroutine and from handlers, Poll and Run excepted.
type Poller struct {
	cfg Config
	ep  *sock.Epoll

	// Of the thread.
	slots   []slot
	free    []int32
	again   []*polled // have more to read than epoll knows, or were touched
	head    int       // again[:head] is done
	window  []byte    // what all connections are read into
	turns   uint64
	now     time.Time
	next    time.Time              // no deadline is before it; zero for none
	serving atomic.Pointer[polled] // whose handler may be running
	life    context.Context        // Run's, nil in Poll
	torn    bool                   // the last round did not come to its end
	todo    []func()               // tasks that were taken over
	clients map[*Client]struct{}
	sampled time.Time // when the backlog was counted last
	counts  Stats

	dialing sync.WaitGroup // goroutines that connect
	halted  atomic.Bool    // closed, for who does not have the lock

	mu     sync.Mutex // protects what follows
	tasks  []func()   // what others want the thread to do
	woken  bool       // the eventfd is set
	busy   bool       // Poll or Run is at work
	closed bool
	gone   bool // everything was torn down, or is being
	stats  Stats
}

// polled is a connection on a Poller.
type polled struct {
	poller *Poller
	d      *Detached
	ended  func(error)
	slot   int32
	write  bool // epoll is asked for EPOLLOUT
	queued bool // it is in again
	more   bool // it wants another turn
	turn   uint64
}

// slot is a place in the table that epoll's events point into. Its generation tells an
// event of a connection that is gone from one of its successor.
type slot struct {
	m          *polled
	generation int32
}

// NewPoller returns a poller without connections. Close it: it holds descriptors.
// Errors: [errors.ErrUnsupported] on other systems than Linux, an [*tickstorm.OptionError] if the kernel
// refuses an option, and what the kernel says when it has no descriptors left.
func NewPoller(cfg Config) (*Poller, error) {
	if cfg.Budget < 0 || cfg.BusyPoll < 0 || cfg.BusyPollBudget < 0 || cfg.BacklogEvery < 0 {
		return nil, errors.New("a negative number in the poller's Config")
	}
	if cfg.Budget == 0 {
		cfg.Budget = readBudget
	}
	cfg.CPUs = slices.Clone(cfg.CPUs)
	ep, err := sock.NewEpoll()
	if err != nil {
		return nil, err
	}
	if cfg.BusyPoll > 0 || cfg.BusyPollBudget > 0 {
		if err := ep.BusyPoll(cfg.BusyPoll, cfg.BusyPollBudget); err != nil {
			ep.Close()
			return nil, &tickstorm.OptionError{Option: "EPIOCSPARAMS", Err: err}
		}
	}
	return &Poller{cfg: cfg, ep: ep, clients: map[*Client]struct{}{}}, nil
}

// Add gives a connection to the poller, which closes it when it has ended and then calls
// ended, on its thread, with nil after Remove or any Close, else with the reason; ended
// may be nil. From now on the Detached belongs to that thread: use [Poller.Do], or
// handlers, to call its methods. The error is tickstorm.ErrClosed if the poller is.
func (p *Poller) Add(d *Detached, ended func(error)) error {
	return p.post(func() {
		if d.polled.Load() != nil {
			if ended != nil {
				ended(fmt.Errorf("connection on two pollers: %w", tickstorm.ErrRunning))
			}
			return
		}
		p.attach(&polled{poller: p, d: d, ended: ended})
	})
}

// Remove closes a connection that was added, on the poller's thread and soon. After Remove has
// been called, its handler that runs may finish and no other is called: see [Detached.Close].
// To end it in order instead, have [Poller.Do] call its Shutdown.
func (p *Poller) Remove(d *Detached) {
	if m := d.polled.Load(); m != nil && m.poller == p {
		d.Mute()
	}
	_ = p.post(func() {
		if m := d.polled.Load(); m != nil && m.poller == p {
			_ = d.Close()
			p.settle(m, false)
		}
	})
}

// Do has the poller call f on its thread, soon, between the turns of connections: the
// way to the methods of a [Detached] from other goroutines. The error is tickstorm.ErrClosed if the
// poller is.
func (p *Poller) Do(f func()) error { return p.post(f) }

func (p *Poller) post(f func()) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return tickstorm.ErrClosed
	}
	p.tasks = append(p.tasks, f)
	p.wakeLocked()
	return nil
}

// Wake has a Poll that waits, or the next one, return soon.
func (p *Poller) Wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wakeLocked()
}

func (p *Poller) wakeLocked() {
	if !p.woken && !p.gone {
		p.woken = true
		p.ep.Wake()
	}
}

// Fd returns a descriptor that is readable when Poll has something to do: it can be put
// into another epoll, or poll, level-triggered. Wait no longer than until Deadline. After
// Close it is -1.
func (p *Poller) Fd() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ep.FD()
}

// Deadline returns the time at which Poll is to be called at the latest, even if Fd is
// not readable; the zero Time means never. It belongs to the thread.
func (p *Poller) Deadline() time.Time {
	if len(p.again) > p.head || p.torn {
		return p.now
	}
	return p.next
}

// Stats returns what the poller has done, as of its last turn.
func (p *Poller) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// Close closes all connections at once, and ends the clients; those whose connection is
// being made are waited for, which takes as long as a NetDial that ignores its context. After
// Close has been called, the handler that runs may finish and no other is called, of whichever
// connection. To end in order, call the clients' Shutdown first and go on polling until Stats
// has none left. If Poll or Run is at work it closes before it returns, and Close does not wait
// for that. Closing again is harmless. It returns nil.
func (p *Poller) Close() error {
	p.halted.Store(true)
	if m := p.serving.Load(); m != nil { // else its turn sees that it is halted
		m.d.Mute()
	}
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	teardown := first && !p.busy
	if teardown {
		p.gone = true
	} else {
		p.wakeLocked()
	}
	p.mu.Unlock()
	if teardown {
		p.teardown()
	}
	return nil
}

// Poll waits for news, no longer than timeout (negative for no limit, 0 for not at all),
// and gives every connection that has some one turn, on the calling goroutine. It returns
// nil after one round, whether there was anything to do or not, tickstorm.ErrClosed after Close,
// [tickstorm.ErrRunning] during another Poll or Run, or what the kernel refused. If a handler
// panics, its connection is closed, and Poll may be called again: the others, and what was
// asked for by Do, have lost nothing.
func (p *Poller) Poll(timeout time.Duration) error {
	if err := p.enter(); err != nil {
		return err
	}
	defer p.leave()
	return p.round(timeout)
}

// Run polls until ctx ends, and returns its error, or Close is called, and returns nil.
// The connections survive the end of ctx, so that what was read of one is delivered before Run
// returns, up to Config.Budget bytes, and the others have no turn any more: Run it again,
// or Close the poller, which also stops handlers at once. Meanwhile the
// goroutine is locked to its thread, which uses Config.CPUs. Other errors are
// those of Poll, and an [*tickstorm.OptionError] if the kernel refuses the CPUs.
//
// Go's scheduler takes a thread's place away while it waits, and gives it another when
// one is free. In a program that keeps GOMAXPROCS goroutines computing that can take 10 ms:
// set GOMAXPROCS one higher than they need.
func (p *Poller) Run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := p.enter(); err != nil {
		if errors.Is(err, tickstorm.ErrClosed) {
			return nil
		}
		return err
	}
	defer p.leave()
	if len(p.cfg.CPUs) > 0 {
		restore, err := sock.SetAffinity(p.cfg.CPUs)
		if err != nil {
			return &tickstorm.OptionError{Option: "sched_setaffinity", Err: err}
		}
		defer restore()
	}
	stop := context.AfterFunc(ctx, p.Wake)
	defer stop()
	p.life = ctx
	defer func() { p.life = nil }()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.round(-1); err != nil {
			if errors.Is(err, tickstorm.ErrClosed) {
				return nil
			}
			return err
		}
	}
}

func (p *Poller) enter() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.busy:
		return tickstorm.ErrRunning
	case p.closed:
		return tickstorm.ErrClosed
	}
	p.busy = true
	return nil
}

func (p *Poller) leave() {
	p.mu.Lock()
	p.busy = false
	teardown := p.closed && !p.gone
	if teardown {
		p.gone = true
	}
	p.mu.Unlock()
	if teardown {
		p.teardown()
	}
}

// round is one Poll.
func (p *Poller) round(timeout time.Duration) error {
	p.bury()
	if p.serve() {
		return tickstorm.ErrClosed
	}
	n, err := p.wait(timeout)
	if err != nil {
		return err
	}
	p.now = time.Now()
	p.turns++
	if n > 0 {
		p.counts.Wakes++
	}
	if p.cfg.BacklogEvery > 0 && p.now.Sub(p.sampled) >= p.cfg.BacklogEvery {
		p.sample()
	}
	rest := len(p.again) // before what this round adds
	for i := range n {
		if p.stops() { // what is left is level-triggered
			break
		}
		place, generation, writable := p.ep.Event(i)
		if place == sock.WakeSlot {
			p.awake()
			continue
		}
		// A connection that an earlier event of this round closed has left its slot.
		if s := &p.slots[place]; s.m != nil && s.generation == generation {
			p.turn(s.m, writable)
		}
	}
	for p.head < rest && !p.stops() {
		m := p.again[p.head]
		p.head++
		m.queued = false
		switch {
		case m.slot < 0: // gone
		case m.turn != p.turns:
			p.turn(m, false)
		case m.more: // it had its turn already, and there is more
			p.enqueue(m)
		}
	}
	p.again = slices.Delete(p.again, 0, p.head)
	p.head = 0
	if !p.next.IsZero() && !p.now.Before(p.next) {
		p.tick()
	}
	if p.serve() {
		return tickstorm.ErrClosed
	}
	p.torn = false
	return nil
}

// wait waits for events, and returns how many there are.
func (p *Poller) wait(timeout time.Duration) (int, error) {
	switch {
	case len(p.again) > 0:
		timeout = 0
	case !p.next.IsZero():
		if left := max(0, time.Until(p.next)); timeout < 0 || left < timeout {
			timeout = left
		}
	}
	if timeout != 0 && p.cfg.Spin != 0 {
		if n, err := p.spin(); n != 0 || err != nil || p.cfg.Spin < 0 {
			return n, err
		}
	}
	return p.ep.Wait(timeout)
}

// spin looks for events without waiting.
func (p *Poller) spin() (int, error) {
	const most = 1024 // looks, some 300 µs: then it is time to look at the clock
	looks := p.cfg.Spin
	if looks < 0 {
		looks = most
	}
	for range looks {
		if n, err := p.ep.Look(); n != 0 || err != nil {
			return n, err
		}
	}
	return 0, nil
}

// stops reports whether no connection is to have its turn any more.
func (p *Poller) stops() bool { return p.halted.Load() || p.life != nil && p.life.Err() != nil }

// turn lets a connection do what it can do now, within its budget.
func (p *Poller) turn(m *polled, writable bool) {
	m.turn, m.more = p.turns, false
	p.serving.Store(m)
	if p.halted.Load() { // Close has perhaps not seen whom to mute
		p.serving.Store(nil)
		return
	}
	d := m.d
	d.Advance(p.now)
	if writable {
		_ = d.WriteReady()
	}
	more := d.ReadReady(p.cfg.Budget) == ErrMore
	p.serving.Store(nil)
	if more {
		p.counts.Spent++
	}
	p.settle(m, more)
}

// settle has epoll, the line and the deadlines agree with what a connection wants now,
// and parts with it if it has ended.
func (p *Poller) settle(m *polled, more bool) {
	d := m.d
	if m.slot < 0 {
		return
	}
	if d.ended() {
		p.part(m)
		return
	}
	if more {
		p.enqueue(m)
	}
	if want := d.WantWrite(); want != m.write {
		m.write = want
		if err := p.ep.Modify(d.Fd(), m.slot, p.slots[m.slot].generation, want); err != nil {
			_ = d.session.Disconnected(err)
			p.part(m)
			return
		}
	}
	p.due(d.deadline())
}

// enqueue has a connection get a turn in the next round, whatever epoll says.
func (p *Poller) enqueue(m *polled) {
	m.more = true
	if !m.queued {
		m.queued = true
		p.again = append(p.again, m)
	}
}

// due notes a deadline.
func (p *Poller) due(t time.Time) {
	if p.next.IsZero() || !t.IsZero() && t.Before(p.next) {
		p.next = t
	}
}

// tick does what is due, and finds the next deadline: those that were noted have mostly
// moved on since, with every byte that came.
func (p *Poller) tick() {
	p.next = time.Time{}
	for i := range p.slots {
		m := p.slots[i].m
		if m == nil {
			continue
		}
		if due := m.d.due; !due.IsZero() && !p.now.Before(due) {
			p.serving.Store(m)
			m.d.Advance(p.now)
			p.serving.Store(nil)
		}
		p.settle(m, m.d.unheard)
	}
	for c := range p.clients {
		c.tick(p.now)
	}
}

// attach starts to drive a connection.
func (p *Poller) attach(m *polled) {
	if n := len(p.free); n > 0 {
		m.slot = p.free[n-1]
		p.free = p.free[:n-1]
	} else {
		m.slot = int32(len(p.slots))
		p.slots = append(p.slots, slot{})
	}
	s := &p.slots[m.slot]
	s.m = m
	m.d.polled.Store(m)
	if size := m.d.cfg.ReadBuffer; size > len(p.window) {
		p.window = make([]byte, size)
	}
	m.d.window = p.window[:m.d.cfg.ReadBuffer:m.d.cfg.ReadBuffer]
	p.counts.Connections++
	if m.d.ended() {
		p.part(m)
		return
	}
	if err := p.ep.Add(m.d.Fd(), m.slot, s.generation); err != nil {
		_ = m.d.session.Disconnected(err)
		p.part(m)
		return
	}
	p.enqueue(m) // epoll does not know what was read before
}

// part closes a connection that has ended, if it is not closed yet, and forgets it.
func (p *Poller) part(m *polled) {
	m.d.end()
	s := &p.slots[m.slot]
	s.m = nil
	s.generation++
	p.free = append(p.free, m.slot)
	m.slot = -1
	p.counts.Connections--
	m.d.polled.Store(nil)
	if m.ended == nil {
		return
	}
	err := m.d.session.Err()
	if errors.Is(err, tickstorm.ErrClosed) || errors.Is(err, tickstorm.ErrCloseTimeout) {
		err = nil
	}
	m.ended(err)
}

// bury makes up for a panic that broke off the last round, and parts with the connection
// whose handler it was.
func (p *Poller) bury() {
	if p.torn {
		p.due(p.now) // not all may have been asked for their deadlines
	}
	p.torn = true
	if m := p.serving.Swap(nil); m != nil {
		if m.slot >= 0 {
			p.part(m)
		}
	}
}

// serve does what others asked for, tells them the figures, and reports whether the
// poller was closed.
func (p *Poller) serve() (closed bool) {
	p.counts.Clients = len(p.clients)
	p.mu.Lock()
	p.todo = append(p.todo, p.tasks...)
	p.tasks = nil
	p.stats = p.counts
	closed = p.closed
	p.mu.Unlock()
	for len(p.todo) > 0 { // a panic leaves the others for the next round
		do := p.todo[0]
		p.todo = p.todo[1:]
		do()
	}
	p.todo = nil
	return closed
}

func (p *Poller) awake() {
	p.mu.Lock()
	p.woken = false
	p.ep.Woken()
	p.mu.Unlock()
}

func (p *Poller) sample() {
	p.sampled = p.now
	p.counts.Backlog = 0
	for i := range p.slots {
		if m := p.slots[i].m; m != nil {
			if n, err := m.d.Backlog(); err == nil {
				p.counts.Backlog += n
			}
		}
	}
	p.counts.MaxBacklog = max(p.counts.MaxBacklog, p.counts.Backlog)
}

// teardown ends everything. Nobody can post any more.
func (p *Poller) teardown() {
	done := false
	defer func() {
		if !done { // a panic, of which the others are no part
			p.teardown()
		}
	}()
	p.bury()
	p.serve()
	for c := range p.clients {
		c.cancel()
	}
	p.dialing.Wait()
	for i := range p.slots {
		if m := p.slots[i].m; m != nil {
			_ = m.d.Close()
			p.settle(m, false)
		}
	}
	for c := range p.clients {
		c.finish(nil)
	}
	p.serve() // for the figures
	p.mu.Lock()
	p.ep.Close()
	p.mu.Unlock()
	done = true
}
