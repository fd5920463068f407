package main

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/format"
	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/when"
	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/where"
	"github.com/tickstorm/tickstorm/relay"
)

// The codes that the process ends with. The verb check has codes of its own, those of monitoring.
const (
	exitOK          = 0
	exitFailure     = 1   // anything else
	exitUsage       = 2   // the command cannot be meant
	exitKey         = 3   // there is no key, or it was refused
	exitPlan        = 4   // the key's plan does not include what was asked for
	exitEvicted     = 5   // another connection with the same key took this one's place
	exitStale       = 6   // nothing came for too long
	exitInterrupted = 130 // Ctrl-C, after all was written that had come
)

// codes says what ends with which code, the first that an error is.
var codes = []struct {
	err  error
	code int
}{
	{errInterrupted, exitInterrupted},
	{errTerminated, exitOK},
	{tickstorm.ErrNoPlan, exitPlan}, // which is an ErrAuthFailed too
	{tickstorm.ErrNotAuthorized, exitPlan},
	{tickstorm.ErrNotRealTime, exitPlan},
	{tickstorm.ErrSubscriptionLimit, exitPlan},
	{tickstorm.ErrNoKey, exitKey},
	{tickstorm.ErrAuthFailed, exitKey},
	{tickstorm.ErrMaxConnections, exitEvicted},
	{nats.ErrAuthorization, exitKey},
	{nats.ErrPermissionViolation, exitKey},
	{errStale, exitStale},
	{errUsage, exitUsage},
	{tickstorm.ErrBadTopic, exitUsage},
	{tickstorm.ErrNoSymbols, exitUsage},
	{tickstorm.ErrNoStream, exitUsage},
	{tickstorm.ErrBadFeed, exitUsage},
	{relay.ErrNotLoopback, exitUsage},
	{format.ErrForm, exitUsage},
	{when.ErrForm, exitUsage},
	{where.ErrForm, exitUsage},
}

var (
	// errStale: nothing came for longer than was allowed.
	errStale = errors.New("stale")
	// errUsage: the command cannot be meant.
	errUsage = errors.New("usage")
)

// An exitError is an error with a code of its own. One without text is not told: it has been.
type exitError struct {
	code int
	text string
}

func (e *exitError) Error() string { return e.text }

// usageError is an errUsage that reads as its text alone.
type usageError struct{ text string }

func (e *usageError) Error() string        { return e.text }
func (e *usageError) Is(target error) bool { return target == errUsage }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// codeOf returns the code that an error ends the process with.
func codeOf(err error) int {
	if err == nil {
		return exitOK
	}
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return exitFailure
}

// worse is what to end with when something went wrong behind the end: what is lost matters more than
// that somebody has ended it.
func worse(err, later error) error {
	code := codeOf(err)
	switch {
	case later == nil:
		return err
	case code == exitOK || code == exitInterrupted:
		return later
	}
	return errors.Join(err, later)
}
