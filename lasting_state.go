package tickstorm

import (
	"fmt"
	"time"
)

// State is what a [Client], or any other driver of a [Lasting], is about.
type State uint8

// The states of a client. From StateIdle it goes to StateConnecting; from there on in the
// order of the constants as far as it comes, to StateBackoff from anywhere, and back to
// StateConnecting; StateClosed is the last.
const (
	// StateIdle: nothing has begun.
	StateIdle State = iota
	// StateConnecting: TCP, TLS and WebSocket handshake.
	StateConnecting
	// StateAuthenticating: the WebSocket is open, the key's answer is awaited.
	StateAuthenticating
	// StateSubscribing: the wanted topics were asked for; not all are answered. A client
	// that wants nothing yet skips it. Events may come already.
	StateSubscribing
	// StateStreaming: every wanted topic is acknowledged, refused, or went unanswered for
	// Config.AckTimeout; the [StateChange] says which.
	StateStreaming
	// StateBackoff: the connection, or the attempt, has failed, and the next is waited for.
	StateBackoff
	// StateClosed: Run returns.
	StateClosed
)

var stateNames = [...]string{"idle", "connecting", "authenticating", "subscribing", "streaming", "backoff", "closed"}

// String returns the state's name in lower case.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// StateChange is a [Client] going from one state to the next.
type StateChange struct {
	State, Previous State
	// At is when.
	At time.Time
	// Attempt counts the attempts to connect from 1, and starts over after a healthy
	// connection; see Backoff.Healthy. It is that of the connection that the change is
	// about, or that has ended.
	Attempt int
	// Err is why, in StateBackoff and StateClosed. In the latter it is what Run returns.
	Err error
	// Wait is how long StateBackoff will last.
	Wait time.Duration

	// In StateStreaming, what came of the topics that were asked for. Acked is how many
	// were acknowledged. Refused are those that the server refused, which are not wanted
	// any more, where its answers allow to name them; Unnamed is how many it refused
	// besides. Pending are those without an answer of their own, the unnamed among them:
	// they stay wanted.
	Acked            int
	Refused, Pending []Topic
	Unnamed          int
}

// String gives the state, the attempt, and what there is to say of it.
func (s *StateChange) String() string {
	text := fmt.Sprintf("%s, attempt %d", s.State, s.Attempt)
	switch s.State {
	case StateStreaming:
		text += fmt.Sprintf(", %d topics acknowledged", s.Acked)
		if n := len(s.Refused) + s.Unnamed; n > 0 {
			text += fmt.Sprintf(", %d refused", n)
		}
		if n := len(s.Pending) - s.Unnamed; n > 0 {
			text += fmt.Sprintf(", %d unanswered", n)
		}
	case StateBackoff:
		text += fmt.Sprintf(", next in %v", s.Wait.Round(time.Millisecond))
	}
	if s.Err != nil {
		text += ": " + s.Err.Error()
	}
	return text
}

// StateHandler is an optional ability of a [Handler] that a [Client] calls: OnState is
// told every change of state, once and in their order, on the goroutine and in the turn
// of the events. The change is the handler's to keep.
type StateHandler interface {
	OnState(*StateChange)
}

// State returns what it is about now.
func (l *Lasting) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// enter changes the state and tells the driver.
func (l *Lasting) enter(change StateChange, now time.Time) {
	change.At, change.Attempt = now, l.attempt
	l.mu.Lock()
	change.Previous, l.state = l.state, change.State
	l.mu.Unlock()
	if l.cfg.Tap != nil {
		told := change
		l.cfg.Tap.OnState(&told)
	}
	if l.cfg.OnState != nil {
		told := change
		l.cfg.OnState(&told)
	}
	l.driver.OnState(&change)
}
