package sim

import (
	"maps"
	"slices"
	"strings"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
	"github.com/tickstorm/tickstorm/internal/redact"
)

// This file is a connection's dialogue: what it answers to keys and subscriptions, and in whose
// words. Those of the vendor are in internal/dialogue.

// maxRequests is how many requests of a connection are kept.
const maxRequests = 10_000

// The words of older servers, and of mock servers, for those of today.
var oldWords = map[dialogue.Status]dialogue.Status{
	dialogue.AuthSuccess:    dialogue.Success(dialogue.AuthSuccess.Message),
	dialogue.AuthFailed:     dialogue.Failure(dialogue.AuthFailed.Message),
	dialogue.NoPlan:         dialogue.Failure(dialogue.NoPlan.Message),
	dialogue.MaxConnections: {Status: "disconnected", Message: dialogue.MaxConnections.Message},
}

// ear receives what the client sends.
type ear struct{ c *Conn }

func (e ear) OnMessage(op ws.OpCode, p []byte) error {
	if op == ws.OpText && !e.c.finishing.Load() {
		e.c.request(p)
	}
	return nil
}

func (e ear) OnControl(op ws.OpCode, _ []byte) {
	n := &e.c.server.counters
	switch op {
	case ws.OpPing:
		n.pings.Add(1)
	case ws.OpPong:
		n.pongs.Add(1)
	}
	e.c.server.change()
}

// sendStatuses sends statuses, some in each message.
func (c *Conn) sendStatuses(statuses ...dialogue.Status) {
	if c.server.cfg.OldWords {
		for i, s := range statuses {
			if old, ok := oldWords[s]; ok {
				statuses[i] = old
			}
		}
	}
	c.out.append(dialogue.AppendStatuses(nil, statuses...))
}

// request answers one message of the client. What is not a request is ignored, unless
// Config.OldWords says otherwise.
func (c *Conn) request(p []byte) {
	r, err := dialogue.ParseRequest(p)
	c.record(p, r.Action, r.Params, err)
	if err != nil {
		if c.server.cfg.OldWords {
			c.sendStatuses(dialogue.Failure("Invalid JSON"))
		}
		return
	}
	switch r.Action {
	case dialogue.Auth:
		c.auth(strings.TrimSpace(r.Params))
	case dialogue.Subscribe:
		c.subscribe(r.Params)
	case dialogue.Unsubscribe:
		c.unsubscribe(r.Params)
	}
}

// record keeps a request for the test to see, without keys: neither the ones that the
// server knows nor a wrong one.
func (c *Conn) record(p []byte, action, params string, err error) {
	text := string(p)
	switch {
	case err != nil && strings.Contains(text, "auth"):
		text = redact.Mask
	case action == dialogue.Auth && params != "":
		text = `{"action":"auth","params":"` + redact.Mask + `"}`
	}
	c.mu.Lock()
	known := append(slices.Collect(maps.Keys(c.server.cfg.Keys)), c.key)
	slices.SortFunc(known, func(a, b string) int { return len(b) - len(a) }) // one may be the beginning of another
	for _, key := range known {
		text = redact.String(text, key)
	}
	if len(c.requests) < maxRequests {
		c.requests = append(c.requests, text)
	}
	c.mu.Unlock()
	c.server.counters.requests.Add(1)
	c.server.cfg.Logger.Debug("sim: request", "conn", c.id, "text", text)
	c.server.change()
}

func (c *Conn) authTimeout() {
	if c.Authenticated() || c.finishing.Load() {
		return
	}
	c.sendStatuses(dialogue.AuthTimeout)
	c.finish(Drop())
}

func (c *Conn) auth(key string) {
	if c.Authenticated() {
		return
	}
	c.queueFaults(OnAuth)
	s := c.server
	plan, known := s.cfg.plan(key)
	var refusal dialogue.Status
	switch {
	case !known:
		refusal = dialogue.AuthFailed
	case plan.Markets != nil && !slices.Contains(plan.Markets, c.market):
		refusal = dialogue.NoPlan
	}
	if refusal != (dialogue.Status{}) {
		s.counters.badKeys.Add(1)
		c.sendStatuses(refusal)
		c.finish(Drop())
		s.change()
		return
	}
	c.admit(key, plan)
	if !s.cfg.Quiet || s.cfg.Replay != nil {
		c.workers.Go(c.stream)
	}
	s.change()
}

// admit makes the connection an authenticated one, which is told with it, and another one
// leave if it is one too many.
func (c *Conn) admit(key string, plan Plan) {
	s := c.server
	s.admission.Lock()
	defer s.admission.Unlock()
	most := plan.MaxConnections
	if most == 0 {
		most = s.cfg.MaxConnections
	}
	excess := false
	if rivals := s.rivals(c, key); most > 0 && len(rivals) >= most {
		if excess = s.cfg.Eviction == EvictNewcomer; !excess {
			for _, o := range rivals[:len(rivals)-most+1] {
				o.evict(Drop())
			}
		}
	}
	c.mu.Lock()
	c.authenticated, c.key, c.plan, c.excess = true, key, plan, excess
	c.sendStatuses(dialogue.AuthSuccess)
	if plan.NotRealTime {
		c.sendStatuses(dialogue.NotRealTime)
	}
	c.mu.Unlock()
	c.place.Trust()
}

// evict ends a connection that is one too many.
func (c *Conn) evict(how Action) {
	c.mu.Lock()
	c.excess = true
	c.mu.Unlock()
	c.server.counters.evicted.Add(1)
	c.server.cfg.Logger.Info("sim: connection evicted", "conn", c.id)
	c.streaming.Lock()
	c.sendStatuses(dialogue.MaxConnections)
	c.finish(how)
	c.streaming.Unlock()
	c.server.change()
}

func (c *Conn) subscribe(params string) {
	c.mu.Lock()
	ready, plan, excess := c.authenticated, c.plan, c.excess
	c.mu.Unlock()
	if !ready {
		return
	}
	c.queueFaults(OnSubscribe)
	if plan.NotRealTime {
		c.sendStatuses(dialogue.NotRealTime)
		return
	}
	var refused []dialogue.Status
	var accepted []string
	var added []tickstorm.Topic
	seen := make(map[tickstorm.Topic]struct{})
	c.mu.Lock()
	topics := dialogue.Topics(c.market, params)
	if n := dialogue.OverLimit(c.market, c.server.cfg.OptionLimit, c.held, topics); n > 0 {
		topics = nil
		for range n {
			refused = append(refused, dialogue.SubscriptionLimit)
		}
	}
	for _, t := range topics {
		if !plan.allows(t.Topic.Channel) {
			refused = append(refused, dialogue.NotAuthorized)
			continue
		}
		_, held := c.held[t.ID]
		if _, twice := seen[t.ID]; held || twice {
			continue
		}
		seen[t.ID] = struct{}{}
		added = append(added, t.ID)
		accepted = append(accepted, t.Topic.String())
	}
	c.mu.Unlock()
	c.answer(refused, c.acks("subscribed", "to", accepted), func() {
		for _, t := range added {
			c.generator.Subscribe(t)
			c.wants.set(t, true)
		}
	}, func() { maps.Copy(c.held, seen) })
	if excess {
		c.evict(Close(int(ws.StatusPolicyViolation), ""))
	}
}

func (c *Conn) unsubscribe(params string) {
	var accepted []string
	var removed []tickstorm.Topic
	seen := make(map[tickstorm.Topic]struct{})
	c.mu.Lock()
	if c.authenticated {
		for _, t := range dialogue.Topics(c.market, params) {
			_, held := c.held[t.ID]
			if _, twice := seen[t.ID]; held && !twice {
				seen[t.ID] = struct{}{}
				removed = append(removed, t.ID)
				accepted = append(accepted, t.Topic.String())
			}
		}
	}
	c.mu.Unlock()
	preposition := "to"
	if c.server.cfg.OldWords {
		preposition = "from"
	}
	c.answer(nil, c.acks("unsubscribed", preposition, accepted), func() {
		for _, t := range removed {
			c.generator.Unsubscribe(t)
			c.wants.set(t, false)
		}
	}, func() {
		for _, t := range removed {
			delete(c.held, t)
		}
	})
}

// acks returns the acknowledgements of topics in the server's style.
func (c *Conn) acks(what, preposition string, topics []string) []dialogue.Status {
	if len(topics) == 0 {
		return nil
	}
	var acks []dialogue.Status
	switch c.server.cfg.Acks {
	case AckTopics:
		for _, topic := range topics {
			acks = append(acks, dialogue.Success(what+" "+preposition+": "+topic))
		}
	case AckList:
		acks = append(acks, dialogue.Success(what+" "+preposition+": "+strings.Join(topics, ",")))
	case AckRequest:
		acks = append(acks, dialogue.Success(what))
	}
	return acks
}

// answer sends the answers to a request and then lets the change take effect on the
// stream: no event of a topic comes before it is acknowledged, and none after it has
// been given up. What the connection holds changes with the answers: what a test sends
// because it does comes behind them.
func (c *Conn) answer(refused, accepted []dialogue.Status, change, hold func()) {
	c.streaming.Lock()
	change()
	c.mu.Lock()
	hold()
	c.sendStatuses(append(refused, accepted...)...)
	c.mu.Unlock()
	c.streaming.Unlock()
	signal(c.subscribed)
	c.server.change()
}
