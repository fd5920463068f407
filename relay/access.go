package relay

import (
	"net/http"
	"strings"
	"sync"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
)

// This file is what a client may do, where the server has Config.Keys. A client shows its token
// once, and is held against the keys again whenever they change.

// access is a client's standing with the keys.
type access struct {
	mu       sync.Mutex // protects what follows, and is held while the client gets what it may have
	key      *key       // nil before it has shown a token, and where the server has no keys
	expelled bool
}

// credentials is what a handshake has beside the market.
type credentials struct {
	token  string // "" if it has none
	topics string // to subscribe to, once the token is known to be good
}

// credentialsOf takes them from a handshake. The header goes before the URL.
func credentialsOf(r *http.Request) credentials {
	q := r.URL.Query()
	c := credentials{token: q.Get("token"), topics: strings.Join(q["subscribe"], ",")}
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		c.token = strings.TrimSpace(token)
	}
	return c
}

// arrive acts upon what the handshake had.
func (c *conn) arrive(in credentials) error {
	c.topics = in.topics
	if in.token != "" || in.topics != "" && c.market.server.cfg.Keys == nil {
		return c.show(in.token)
	}
	return nil // it has to send its key
}

// show takes a token. Once one was good no other is looked at: there is nothing to be learned
// from showing more.
func (c *conn) show(token string) error {
	c.access.mu.Lock()
	defer c.access.mu.Unlock()
	if !c.authed {
		if refusal := c.identify(token); refusal != nil {
			c.answer(*refusal)
			c.part(ws.StatusPolicyViolation, "not authorized")
			return errRefused
		}
	}
	if err := c.market.err(); err != nil {
		c.refuse(err)
		return errRefused
	}
	c.answer(dialogue.AuthSuccess)
	if c.authed || c.access.expelled {
		return nil
	}
	c.authed = true
	c.market.enter(c)
	c.confine()
	if c.topics != "" {
		c.get(dialogue.Topics(c.market.name, c.topics))
	}
	return nil
}

// identify finds the client's key. It returns in what words it is refused, nil if it is not. This
// and what follows wants the access lock.
func (c *conn) identify(token string) *dialogue.Status {
	s := c.market.server
	if s.cfg.Keys == nil {
		return nil
	}
	k := s.cfg.Keys.set.Load().find(token)
	switch {
	case k == nil:
		s.doorman.failed(c.from)
		s.refusedKeys.Add(1)
		s.log.Warn("relay: no such key", "client", c.id, "from", c.from)
		return &dialogue.AuthFailed
	case !k.market(c.market.name):
		s.log.Warn("relay: the key's policy lacks the market", "client", c.id, "key", k.name, "market", string(c.market.name))
		return &dialogue.NoPlan
	}
	c.access.key = k
	trust(c.nc)
	s.log.Info("relay: client has shown its key", "client", c.id, "key", k.name)
	return nil
}

// confine has the key's bounds hold for what the client has, and for what it asks for.
func (c *conn) confine() {
	k, m := c.access.key, c.market
	c.mayRecall(k == nil || k.policy.Snapshot || k.policy.SnapshotOnSubscribe)
	c.reminds.Store(k != nil && k.policy.SnapshotOnSubscribe && m.server.cfg.Snapshots.Bytes > 0)
	if k == nil {
		return
	}
	q := m.server.cfg.Queue
	if o := k.policy.Overflow; o != tickstorm.OverflowBlock && o != q.policy() {
		q = QueueConfig{Overflow: o} // High and Low were meant for another
	}
	c.out.SetOverflow(q.Overflow, q.High, q.Low)
	m.ledger.restrict(c, k.policy.MaxTopics, func(t tickstorm.Topic) bool { return k.allows(m.name, t) })
}

// get asks for what the client may have of topics, and refuses the rest.
func (c *conn) get(topics []dialogue.Asked) {
	if k := c.access.key; k != nil {
		allowed, refused := k.sift(c.market.name, topics)
		for range refused {
			c.answer(dialogue.NotAuthorized)
		}
		topics = allowed
	}
	c.market.ledger.subscribe(c, topics)
}

// subscribe takes the client's request for topics.
func (c *conn) subscribe(topics []dialogue.Asked) {
	c.access.mu.Lock()
	defer c.access.mu.Unlock()
	c.get(topics)
}

// keyName returns the name of the client's key, "" if it has shown none.
func (c *conn) keyName() string {
	c.access.mu.Lock()
	defer c.access.mu.Unlock()
	if c.access.key == nil {
		return ""
	}
	return c.access.key.name
}

// rekey holds a client against keys that have changed.
func (c *conn) rekey(set *keyset) {
	c.access.mu.Lock()
	defer c.access.mu.Unlock()
	had := c.access.key
	if had == nil || c.access.expelled {
		return
	}
	k := set.of(had.digest)
	switch {
	case k == nil:
		c.expel(dialogue.AuthFailed, "the key was withdrawn")
	case !k.market(c.market.name):
		c.expel(dialogue.NoPlan, "the market was withdrawn from the key")
	default:
		c.access.key = k
		c.confine()
	}
}

// expel closes a client that may not stay. Nothing that waits for it is written any more.
func (c *conn) expel(words dialogue.Status, reason string) {
	c.market.server.log.Info("relay: client may not stay", "client", c.id, "key", c.access.key.name, "reason", reason)
	c.access.expelled = true
	c.market.leave(c)
	c.parting.Store(true)
	c.out.Hangup(dialogue.AppendClose(dialogue.AppendStatuses(nil, words), ws.StatusPolicyViolation, reason))
}

// rekey is told that the keys have changed, or that they have not because of err.
func (s *Server) rekey(err error) {
	if err != nil {
		s.log.Error("relay: the keys are as they were", "err", err)
		return
	}
	set := s.cfg.Keys.set.Load()
	s.log.Info("relay: the keys have changed", "keys", len(set.keys))
	for c := range s.open() {
		c.rekey(set)
	}
}
