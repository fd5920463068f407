// Package expvar makes the [tickstorm.Stats] of a connection or a client a variable of the
// standard library's package expvar. It is apart from package tickstorm because importing
// the standard library's serves /debug/vars, which has the program's arguments in it, on
// [net/http.DefaultServeMux]: serve that to nobody who must not see them, and pass the API
// key by the environment.
package expvar

import (
	"encoding/json"
	"errors"
	"expvar"
	"fmt"
	"sync"

	"github.com/tickstorm/tickstorm"
)

// ErrPublished: the name is taken by a variable that [Publish] did not publish.
var ErrPublished = errors.New("expvar name is taken")

// published are the variables of Publish, which package expvar cannot take back.
var published = struct {
	sync.Mutex
	vars map[string]*statsVar
}{vars: map[string]*statsVar{}}

// Publish makes stats, such as the method Stats of a [tickstorm.Client], a variable: a JSON
// object in the form that [tickstorm.Stats] describes, taken each time that somebody asks. A second call
// with the same name replaces the first; nil takes its object away and leaves null. The
// error is [ErrPublished]. Any goroutine may call it, and stats is called on any.
func Publish(name string, stats func() tickstorm.Stats) error {
	published.Lock()
	defer published.Unlock()
	v := published.vars[name]
	if v == nil {
		if expvar.Get(name) != nil {
			return fmt.Errorf("%w: %q", ErrPublished, name)
		}
		v = new(statsVar)
		published.vars[name] = v
		expvar.Publish(name, v)
	}
	v.set(stats)
	return nil
}

// statsVar is an expvar.Var.
type statsVar struct {
	mu    sync.Mutex
	stats func() tickstorm.Stats
}

func (v *statsVar) set(stats func() tickstorm.Stats) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stats = stats
}

// String returns the JSON.
func (v *statsVar) String() string {
	v.mu.Lock()
	stats := v.stats
	v.mu.Unlock()
	if stats == nil {
		return "null"
	}
	text, err := json.Marshal(stats())
	if err != nil { // no type in it can fail
		return "null"
	}
	return string(text)
}
