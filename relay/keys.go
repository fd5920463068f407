package relay

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Key is somebody who may connect, and what for. It prints without its token.
type Key struct {
	// Name is what logs and [Stats] call whoever has the token; 1 to 64 visible characters or
	// spaces.
	Name string
	// Token is the secret: 16 to 512 visible characters of ASCII, at random, as of
	// `openssl rand -hex 32`. Nothing shows it, and a [Keys] keeps its SHA-256 only.
	Token string `json:"-"`
	// Policy is what the client may do.
	Policy Policy
}

// String returns the name.
func (k Key) String() string { return fmt.Sprintf("relay.Key(%q)", k.Name) }

// Format keeps the token out of every verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue keeps the token out of structured logs.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.Name) }

// Keys are who may connect. They are held in memory, and may be changed while servers use them:
// a client whose token is gone is closed, one that may less has topics withdrawn, and nobody else
// notices. Several servers may use the same Keys. All methods may be called from any goroutine.
type Keys struct {
	path string // of the file; "" if a program has made them
	set  atomic.Pointer[keyset]

	changing sync.Mutex // one change at a time, until it is in effect
	file     file

	mu        sync.Mutex // protects what follows
	listeners map[int]func(err error)
	last      int // listener
	stats     KeysStats
}

// KeysStats is how keys came.
type KeysStats struct {
	// Keys is how many there are, and Loaded since when.
	Keys   int
	Loaded time.Time
	// Err is why the file as it is now was not taken, and those that it had before are in
	// effect still; nil if it was.
	Err error
	// Loads is how often keys were taken, and Failures how often they were not.
	Loads, Failures uint64
}

// errOfFile: keys that come from a file are changed there.
var errOfFile = errors.New("relay: keys that come from a file are changed there")

// NewKeys returns keys of a program's own, which [Keys.Set] changes. Without any, nobody may
// connect. The error says what is wrong with which key.
func NewKeys(keys ...Key) (*Keys, error) {
	set, err := newKeyset(keys)
	if err != nil {
		return nil, err
	}
	k := &Keys{}
	k.take(set)
	return k, nil
}

// Set changes keys that NewKeys made. When it returns the change is in effect for the clients
// that there are. On an error nothing has changed.
func (k *Keys) Set(keys ...Key) error {
	if k.path != "" {
		return errOfFile
	}
	set, err := newKeyset(keys)
	if err != nil {
		return err
	}
	k.changing.Lock()
	defer k.changing.Unlock()
	k.take(set)
	k.tell(nil)
	return nil
}

// take puts keys into effect for whoever comes.
func (k *Keys) take(set *keyset) {
	k.set.Store(set)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stats.Keys, k.stats.Loaded, k.stats.Err = len(set.keys), time.Now(), nil
	k.stats.Loads++
}

// Stats returns how the keys came.
func (k *Keys) Stats() KeysStats {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.stats
}

// listen has changes told, and keys that were not taken, until the function that it returns is
// called.
func (k *Keys) listen(told func(err error)) (end func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.listeners == nil {
		k.listeners = map[int]func(error){}
	}
	k.last++
	id := k.last
	k.listeners[id] = told
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.listeners, id)
	}
}

// tell tells the listeners. It wants the changing lock, so that nobody hears of an older change
// later.
func (k *Keys) tell(err error) {
	k.mu.Lock()
	var all []func(error)
	for _, told := range k.listeners {
		all = append(all, told)
	}
	k.mu.Unlock()
	for _, told := range all {
		told(err)
	}
}

// digest is what is kept of a token. It is not a password: with 16 characters and more at random
// there is nothing to be gained by a slow one.
type digest [sha256.Size]byte

func digestOf(token string) digest { return sha256.Sum256([]byte(token)) }

// key is a Key in effect.
type key struct {
	name   string
	digest digest
	policy Policy
	rules  rules
}

// keyset is all keys at one time. It does not change.
type keyset struct {
	digests []digest
	keys    []*key // in the same order
}

func newKeyset(keys []Key) (*keyset, error) {
	m := newKeymaker()
	for i, k := range keys {
		if err := m.add(k); err != nil {
			return nil, fmt.Errorf("relay: key %d: %w", i+1, err)
		}
	}
	return &m.set, nil
}

// keymaker makes a keyset, of keys that do not get into each other's way.
type keymaker struct {
	set    keyset
	tokens map[digest]string // the names
	names  map[digest]bool
}

func newKeymaker() *keymaker {
	return &keymaker{tokens: map[digest]string{}, names: map[digest]bool{}}
}

func (m *keymaker) add(k Key) error {
	if err := k.check(); err != nil {
		return err
	}
	d, n := digestOf(k.Token), digestOf(k.Name)
	_, shown := m.tokens[n]
	switch {
	case shown || m.names[d]:
		return errors.New("the token of a key is a name, and names are shown")
	case m.names[n]:
		return fmt.Errorf("there is another key named %q", k.Name)
	case m.tokens[d] != "":
		return fmt.Errorf("the token is that of %q too", m.tokens[d])
	}
	m.tokens[d], m.names[n] = k.Name, true
	m.set.digests = append(m.set.digests, d)
	m.set.keys = append(m.set.keys, &key{name: k.Name, digest: d, policy: k.Policy.clone()})
	return nil
}

// find returns the key of a token, nil if there is none.
func (s *keyset) find(token string) *key { return s.of(digestOf(token)) }

func (s *keyset) of(d digest) *key {
	if at := indexOf(s.digests, d, subtle.ConstantTimeCompare); at >= 0 {
		return s.keys[at]
	}
	return nil
}

// indexOf returns where d stands among all, -1 if it does not. All are compared, by their whole
// length, wherever d stands: the time that it takes tells how many there are, and nothing of d.
func indexOf(all []digest, d digest, same func(x, y []byte) int) int {
	at := -1
	for i := range all {
		at = subtle.ConstantTimeSelect(same(all[i][:], d[:]), i, at)
	}
	return at
}

const (
	longestName   = 64
	shortestToken = 16
	longestToken  = 512
)

func (k Key) check() error {
	if err := checkToken(k.Token); err != nil {
		return fmt.Errorf("token: %w", err)
	}
	if strings.Contains(k.Name, k.Token) {
		return errors.New("name: it has the token in it, and names are shown")
	}
	if err := checkName(k.Name); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	return k.Policy.check()
}

func checkName(name string) error {
	if name == "" || len(name) > longestName || name != strings.TrimSpace(name) || strings.ContainsFunc(name, unprintable) {
		return fmt.Errorf("it must be 1 to %d visible characters, with spaces between them only", longestName)
	}
	return nil
}

func checkToken(token string) error {
	visible := func(r rune) bool { return '!' <= r && r <= '~' }
	if len(token) < shortestToken || len(token) > longestToken || strings.ContainsFunc(token, func(r rune) bool { return !visible(r) }) {
		return fmt.Errorf("it must be %d to %d visible characters of ASCII", shortestToken, longestToken)
	}
	return nil
}
