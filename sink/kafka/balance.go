package kafka

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// This file is how consumers of a group share partitions: whoever has a partition of one topic has
// that of all, and so all channels of its symbols; and nothing moves that need not.

// balancer is cooperative: members keep reading what stays theirs.
type balancer struct{ kgo.GroupBalancer }

func newBalancer() kgo.GroupBalancer { return balancer{kgo.CooperativeStickyBalancer()} }

// ProtocolName implements [kgo.GroupBalancer].
func (balancer) ProtocolName() string { return "tickstorm" }

// MemberBalancer implements [kgo.GroupBalancer].
func (b balancer) MemberBalancer(members []kmsg.JoinGroupResponseMember) (kgo.GroupMemberBalancer, map[string]struct{}, error) {
	cb, err := kgo.NewConsumerBalancer(b, members)
	if err != nil {
		return nil, nil, err
	}
	return cb, cb.MemberTopics(), nil
}

// Balance implements [kgo.ConsumerBalancerBalance].
func (b balancer) Balance(cb *kgo.ConsumerBalancer, topics map[string]int32) kgo.IntoSyncAssignment {
	partitions := int32(0)
	for _, n := range topics {
		partitions = max(partitions, n)
	}
	members := make([]member, len(cb.Members()))
	for i := range members {
		m, meta := cb.MemberAt(i)
		members[i] = member{id: m, generation: meta.Generation, topics: map[string]bool{}, owns: map[int32]bool{}}
		for _, t := range meta.Topics {
			members[i].topics[t] = true
		}
		for _, o := range meta.OwnedPartitions {
			for _, p := range o.Partitions {
				members[i].owns[p] = true
			}
		}
	}
	owners := share(members, partitions)
	plan := cb.NewPlan()
	for topic, n := range topics {
		for p := range n {
			owner := owners[p]
			for i := range members { // of members that want other topics, the next who wants this one
				if m := &members[(owner+i)%len(members)]; m.topics[topic] {
					plan.AddPartition(m.id, topic, p)
					break
				}
			}
		}
	}
	plan.AdjustCooperative(cb)
	return plan
}

// member is one of a group.
type member struct {
	id         *kmsg.JoinGroupResponseMember
	generation int32
	topics     map[string]bool
	owns       map[int32]bool // partitions, of any topic
}

// share deals out partitions evenly, and returns the member that each has. A member keeps what it had,
// by the newest word on that, as far as that is no more than its share.
func share(members []member, partitions int32) []int {
	owners := make([]int, partitions)
	counts := make([]int, len(members))
	for p := range owners {
		owners[p] = -1
		for i := range members {
			if best := owners[p]; members[i].owns[int32(p)] && (best < 0 || members[i].generation > members[best].generation) {
				owners[p] = i
			}
		}
		if owners[p] >= 0 {
			counts[owners[p]]++
		}
	}
	// One more than the others is for those who have most.
	order := make([]int, len(members))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(counts[b], counts[a]) })
	room := make([]int, len(members))
	for rank, i := range order {
		room[i] = int(partitions) / len(members)
		if rank < int(partitions)%len(members) {
			room[i]++
		}
	}
	for p := range owners {
		if i := owners[p]; i >= 0 {
			if room[i] == 0 {
				owners[p] = -1
			} else {
				room[i]--
			}
		}
	}
	next := 0
	for p := range owners {
		if owners[p] < 0 {
			for room[order[next]] == 0 {
				next++
			}
			owners[p] = order[next]
			room[order[next]]--
		}
	}
	return owners
}
