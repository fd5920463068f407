package top

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/tickstorm/tickstorm/internal/redact"
)

// An Admin reads the admin server of a relay. Its methods may be called from any goroutine.
type Admin struct {
	address string
	client  *http.Client

	mu       sync.Mutex
	latest   Relay
	failures int           // before the first answer
	answered chan struct{} // closed by the first answer
	turn     chan struct{} // closed when something new is known
}

// Bounds of what an admin server says.
const (
	adminSilence = 5 * time.Second // it says something each second
	maxEvent     = 16 << 20
)

// NewAdmin returns a reader of the server at an address, such as 127.0.0.1:8766 or a URL.
func NewAdmin(address string) (*Admin, error) {
	text := address
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is no address of an admin server: write one like 127.0.0.1:8766", redact.Address(address))
	}
	return &Admin{address: u.JoinPath("events").String(), client: &http.Client{}, latest: Relay{Address: u.String()}, answered: make(chan struct{}), turn: make(chan struct{})}, nil
}

// Latest returns what it said last.
func (a *Admin) Latest() *Relay {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.latest
	return &r
}

// Answered returns a channel that is closed by the first answer.
func (a *Admin) Answered() <-chan struct{} { return a.answered }

// Await waits for the first answer, or until as many attempts have failed; 0 is any number. The error is
// that of the last one, or of ctx.
func (a *Admin) Await(ctx context.Context, attempts int) error {
	for {
		a.mu.Lock()
		failures, why, turn, never := a.failures, a.latest.Error, a.turn, a.latest.at.IsZero()
		a.mu.Unlock()
		if never && attempts > 0 && failures >= attempts {
			return fmt.Errorf("no answer after %d attempts: %s", failures, why)
		}
		select {
		case <-a.answered:
			return nil
		case <-turn:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Run reads until ctx ends; a server that does not answer is asked again each second.
func (a *Admin) Run(ctx context.Context) {
	for ctx.Err() == nil {
		err := a.read(ctx)
		if ctx.Err() != nil {
			return
		}
		a.tell(func(r *Relay) { r.Error = clean(err.Error()) })
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// tell has something new be known: an answer, or a failure.
func (a *Admin) tell(change func(*Relay)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(&a.latest)
	switch answered := !a.latest.at.IsZero(); {
	case answered:
	case a.latest.Error != "":
		a.failures++
	default:
		a.latest.at = time.Now()
		close(a.answered)
	}
	close(a.turn)
	a.turn = make(chan struct{})
}

var errSilent = errors.New("the admin server says nothing")

// read reads the stream of events to its end.
func (a *Admin) read(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(adminSilence, func() { cancel(errSilent) })
	defer silence.Stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.address, nil)
	if err != nil {
		return err
	}
	answer, err := a.client.Do(request)
	if err != nil {
		return cause(ctx, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the admin server says %s", answer.Status)
	}
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		silence.Reset(adminSilence)
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		r, err := relayOf([]byte(data))
		if err != nil {
			return fmt.Errorf("the admin server speaks of something else: %w", err)
		}
		a.tell(func(to *Relay) {
			r.Address, r.Error, r.at = to.Address, "", to.at
			*to = r
		})
	}
	if err := lines.Err(); err != nil {
		return cause(ctx, err)
	}
	return errors.New("the admin server has ended")
}

// cause is why ctx has ended, if that is what an error is about.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
