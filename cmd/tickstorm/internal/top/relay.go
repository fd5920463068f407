package top

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/tickstorm/tickstorm"
)

// A Relay is what the admin server of a relay says of it. Its durations are in nanoseconds, and what is
// not known is null, as they come.
type Relay struct {
	Address string        `json:"address"`
	Up      int64         `json:"up"`
	Version string        `json:"version"`
	Markets []RelayMarket `json:"markets"`
	Clients []RelayClient `json:"clients"`
	// Error is why nothing newer has come.
	Error string `json:"error,omitempty"`

	at time.Time // of the first answer
}

// A RelayMarket is a market that a relay has.
type RelayMarket struct {
	Market     tickstorm.Market `json:"market"`
	State      string           `json:"state"`
	Error      string           `json:"error"`
	For        int64            `json:"for"`
	Rate       float64          `json:"rate"`
	ByteRate   float64          `json:"byteRate"`
	LagP50     *int64           `json:"lagP50"`
	LagP99     *int64           `json:"lagP99"`
	Age        *int64           `json:"age"`
	Topics     int              `json:"topics"`
	Granted    int              `json:"granted"`
	Gaps       uint64           `json:"gaps"`
	LastGap    *RelayGap        `json:"lastGap"`
	Reconnects uint64           `json:"reconnects"`
	Messages   uint64           `json:"messages"`
	Events     uint64           `json:"events"`
	Channels   []RelayChannel   `json:"channels"`
}

// A RelayGap is the last gap of a relay's connection.
type RelayGap struct {
	Length int64  `json:"length"`
	Ago    int64  `json:"ago"`
	Cause  string `json:"cause"`
}

// A RelayChannel is the rate of a channel in the last minute, oldest first.
type RelayChannel struct {
	Channel string    `json:"channel"`
	History []float64 `json:"history"`
}

// A RelayClient is a client of a relay. Queued and Limit are bytes, Waiting, Written, Dropped and Conflated
// events.
type RelayClient struct {
	ID        uint64           `json:"id"`
	Name      string           `json:"name"`
	Address   string           `json:"address"`
	Market    tickstorm.Market `json:"market"`
	Topics    int              `json:"topics"`
	For       int64            `json:"for"`
	Queued    int              `json:"queued"`
	Limit     int              `json:"limit"`
	Waiting   int              `json:"waiting"`
	DelayP50  *int64           `json:"delayP50"`
	DelayP99  *int64           `json:"delayP99"`
	Sent      uint64           `json:"sent"`
	Written   uint64           `json:"written"`
	Dropped   uint64           `json:"dropped"`
	Conflated uint64           `json:"conflated"`
}

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
		return nil, fmt.Errorf("%q is no address of an admin server: write one like 127.0.0.1:8766", address)
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
		var r Relay
		if err := json.Unmarshal([]byte(data), &r); err != nil {
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

// Snapshot is a relay's connection to a market as that of a feed; that of its first market if market is "".
func (r *Relay) Snapshot(now time.Time, market tickstorm.Market) *Snapshot {
	s := &Snapshot{
		At: now, Market: market, Feed: r.Address, State: "no answer", Why: r.Error, Topics: []string{}, Relay: r,
		Channels: []Channel{}, Symbols: []Symbol{}, Silent: []Symbol{}, Incidents: []Incident{},
	}
	if r.Error != "" {
		return s
	}
	s.State = "no market"
	for i := range r.Markets {
		m := &r.Markets[i]
		if market != "" && m.Market != market {
			continue
		}
		s.Market, s.State, s.Why, s.StateFor = m.Market, m.State, clean(m.Error), float64(m.For)/1e9
		s.Acked = m.Granted
		if m.Topics > 0 {
			s.Topics = append(s.Topics, fmt.Sprintf("%d topics", m.Topics))
		}
		s.EventRate, s.ByteRate, s.Events, s.Messages = m.Rate, m.ByteRate, m.Events, m.Messages
		s.LagP50, s.LagP99, s.Age = inSeconds(m.LagP50), inSeconds(m.LagP99), inSeconds(m.Age)
		s.Gaps, s.Reconnects = m.Gaps, m.Reconnects
		if g := m.LastGap; g != nil {
			s.Incidents = append(s.Incidents, Incident{
				At: now.Add(-time.Duration(g.Ago)), Kind: "gap", Grave: Bad,
				Text: fmt.Sprintf("%s without events: %s", Short(time.Duration(g.Length)), clean(g.Cause)),
			})
		}
		for _, c := range m.Channels {
			rate := 0.0
			if n := len(c.History); n > 0 {
				rate = c.History[n-1]
			}
			s.Channels = append(s.Channels, Channel{Channel: c.Channel, EventRate: rate, history: c.History})
		}
		for _, c := range r.Clients {
			s.Queue.Dropped += c.Dropped
			s.Queue.Conflated += c.Conflated
		}
		break
	}
	return s
}

func inSeconds(n *int64) *float64 {
	if n == nil {
		return nil
	}
	return new(float64(*n) / 1e9)
}
