package kafka

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// This file is how long a member may take for granted that the group counts on it: the client library
// says when brokers were written to and heard.

// leased reports whether no other consumer takes this one for gone.
func (s *session) leased() bool { return int64(time.Since(s.began)) < s.until.Load() }

// lease has others take this one for gone no earlier than so long from now.
func (s *session) lease(d time.Duration) { s.until.Store(int64(time.Since(s.began) + d)) }

// OnBrokerWrite implements [kgo.HookBrokerWrite]: who joins is waited for.
func (s *session) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if err == nil && (key == int16(kmsg.JoinGroup) || key == int16(kmsg.SyncGroup)) {
		s.lease(s.c.cfg.rebalance() * 3 / 4)
	}
}

// OnBrokerE2E implements [kgo.HookBrokerE2E]: who was heard is there. A lease that has ended only a join
// makes anew: the answer to a heartbeat may be that another has the partitions.
func (s *session) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	lease := s.c.cfg.Lease * 3 / 4
	joining := key == int16(kmsg.JoinGroup) || key == int16(kmsg.SyncGroup)
	switch {
	case !joining && key != int16(kmsg.Heartbeat):
	case e2e.Err() == nil && joining:
		s.lease(lease)
	case e2e.Err() == nil && s.leased():
		s.lease(lease - e2e.DurationE2E())
	case joining:
		s.lease(0)
	}
}
