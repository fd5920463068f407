package sim

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Phase is a point in the life of a connection at which a [Fault] can happen.
type Phase uint8

// The phases, in their order.
const (
	// OnAccept is before anything is read.
	OnAccept Phase = iota
	// OnHandshake is when the client's HTTP request has been read, before the answer.
	OnHandshake
	// OnGreeting is after the answer to the handshake, before "connected".
	OnGreeting
	// OnAuth is when the key has come, before the answer.
	OnAuth
	// OnSubscribe is when a request to subscribe has come, before the acknowledgements.
	OnSubscribe
	// OnStreaming is before a message that is generated or replayed; see [Fault].After.
	OnStreaming
	phases
)

var phaseNames = [phases]string{"accept", "handshake", "greeting", "auth", "subscribe", "streaming"}

// String returns the phase's name, such as "greeting".
func (p Phase) String() string {
	if p < phases {
		return phaseNames[p]
	}
	return fmt.Sprintf("Phase(%d)", uint8(p))
}

// Fault is one thing that goes wrong. What is sent before it arrives before it.
type Fault struct {
	// At is when.
	At Phase
	// After is how many messages of data the connection has got by then. It counts only
	// at OnStreaming, where 0 is before the first.
	After int
	// AfterBytes is how many bytes of data messages the connection has got by then, with
	// the message that reaches the number sent whole. Only at OnStreaming.
	AfterBytes int64
	// Conn is the connection that it happens to, counted from 1 in the order of arrival;
	// 0 means all.
	Conn int
	// Times is how often it happens on all connections together, 0 for any number. On one
	// connection it happens once, but at OnSubscribe with every request.
	Times int
	// Do is what.
	Do Action
}

// Action is what a [Fault] does; the functions that return one say what there is. The
// zero Action does nothing.
type Action struct {
	kind actionKind
	wait time.Duration
	n    int
	text string
}

type actionKind uint8

const (
	actNothing actionKind = iota
	actCut
	actDrop
	actStall
	actSplit
	actHalfFrame
	actPings
	actGarbage
	actGiant
	actMessage
	actClose
	actHTTP
)

// Cut resets the connection: no close frame, and data on the way may be lost.
func Cut() Action { return Action{kind: actCut} }

// Drop ends the connection without a close frame; what has been sent still arrives.
func Drop() Action { return Action{kind: actDrop} }

// Stall sends nothing for a while; 0 is for as long as the connection lasts. The
// client is not cut off for what it cannot read meanwhile. At OnGreeting this is a late
// greeting.
func Stall(d time.Duration) Action { return Action{kind: actStall, wait: d} }

// SplitEveryByte writes the next n bytes one by one, everything from then on if n is 0.
func SplitEveryByte(n int) Action { return Action{kind: actSplit, n: n} }

// HalfFrame sends the first half of a text frame and ends the connection like [Drop].
func HalfFrame() Action { return Action{kind: actHalfFrame} }

// PingFlood sends n pings at once.
func PingFlood(n int) Action { return Action{kind: actPings, n: n} }

// Garbage sends bytes that are no WebSocket frame.
func Garbage() Action { return Action{kind: actGarbage} }

// GiantLength sends the header of a frame that claims to be 2^62 bytes long, with a few of them.
func GiantLength() Action { return Action{kind: actGiant} }

// Message sends a text frame with any content, valid or not.
func Message(text string) Action { return Action{kind: actMessage, text: text} }

// Close sends a close frame, and ends the connection when the client has answered.
func Close(code int, reason string) Action {
	return Action{kind: actClose, n: code, text: reason}
}

// HTTPStatus answers the handshake with a status such as 429 instead of 101. It does
// something at OnHandshake only.
func HTTPStatus(code int) Action { return Action{kind: actHTTP, n: code} }

// String describes the action, such as "stall 2s".
func (a Action) String() string {
	switch a.kind {
	case actCut:
		return "cut"
	case actDrop:
		return "drop"
	case actStall:
		return "stall " + a.wait.String()
	case actSplit:
		return fmt.Sprintf("split every byte of %d", a.n)
	case actHalfFrame:
		return "half a frame"
	case actPings:
		return fmt.Sprintf("%d pings", a.n)
	case actGarbage:
		return "garbage"
	case actGiant:
		return "giant length"
	case actMessage:
		return fmt.Sprintf("message of %d bytes", len(a.text))
	case actClose:
		return fmt.Sprintf("close %d", a.n)
	case actHTTP:
		return fmt.Sprintf("HTTP status %d", a.n)
	}
	return "nothing"
}

// ParseFaults reads a script as it stands on a command line: faults parted by commas,
// each an action, a phase, and perhaps after how many messages and on which connection:
//
//	cut@streaming+1000          drop@greeting#2         stall=5s@auth
//	split@accept                split=100@streaming     half@streaming+10
//	pings=500@subscribe         garbage@streaming       giant@streaming
//	close=1001@streaming+20     http=429@handshake#1    message=oops@greeting
func ParseFaults(script string) ([]Fault, error) {
	var faults []Fault
	for part := range strings.SplitSeq(script, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		f, err := parseFault(part)
		if err != nil {
			return nil, fmt.Errorf("sim: fault %q: %w", part, err)
		}
		faults = append(faults, f)
	}
	return faults, nil
}

func parseFault(s string) (f Fault, err error) {
	action, at, ok := strings.Cut(s, "@")
	if !ok {
		return f, errors.New("no @phase")
	}
	if f.Do, err = parseAction(strings.Cut(action, "=")); err != nil {
		return f, err
	}
	at, conn, ok := strings.Cut(at, "#")
	if ok {
		if f.Conn, err = strconv.Atoi(conn); err != nil {
			return f, err
		}
	}
	at, after, ok := strings.Cut(at, "+")
	if ok {
		if f.After, err = strconv.Atoi(after); err != nil {
			return f, err
		}
	}
	phase := slices.Index(phaseNames[:], at)
	if phase < 0 {
		return f, fmt.Errorf("no such phase; there are %v", phaseNames)
	}
	f.At = Phase(phase)
	return f, nil
}

func parseAction(name, value string, valued bool) (Action, error) {
	n, notNumber := 0, error(nil)
	if valued {
		n, notNumber = strconv.Atoi(value)
	}
	switch name {
	case "cut":
		return Cut(), nil
	case "drop":
		return Drop(), nil
	case "half":
		return HalfFrame(), nil
	case "garbage":
		return Garbage(), nil
	case "giant":
		return GiantLength(), nil
	case "message":
		return Message(value), nil
	case "split":
		return SplitEveryByte(n), notNumber
	case "pings":
		return PingFlood(n), notNumber
	case "close":
		return Close(n, ""), notNumber
	case "http":
		return HTTPStatus(n), notNumber
	case "stall":
		if !valued {
			return Stall(0), nil
		}
		d, err := time.ParseDuration(value)
		return Stall(d), err
	}
	return Action{}, errors.New("no such action")
}

// script is the server's faults with how often each has happened; guarded by Server.mu.
type script struct {
	faults []Fault
	times  []int
}

// take returns the actions that are due on a connection at a phase. done has a bit for
// each fault that has happened on it already.
func (s *script) take(at Phase, conn int, done []bool, messages int, bytes int64) []Action {
	var due []Action
	for i, f := range s.faults {
		switch {
		case f.At != at, f.Conn != 0 && f.Conn != conn, done[i]:
			continue
		case at == OnStreaming && (messages < f.After || bytes < f.AfterBytes):
			continue
		case f.Times > 0 && s.times[i] >= f.Times:
			continue
		}
		s.times[i]++
		done[i] = at != OnSubscribe
		due = append(due, f.Do)
	}
	return due
}
