package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tickstorm/tickstorm/sink/internal/again"
)

// Topics says how topics are made. One that is there keeps its settings, which whoever made it has
// chosen.
type Topics struct {
	// Existing has nothing made: a topic that is not there is a [*TopicError].
	Existing bool
	// Replicas is on how many brokers a topic is; default what the brokers say.
	Replicas int
	// Retention and RetentionBytes have a partition forget its oldest records; default 7 days, and
	// no bound by bytes. A consumer that is further behind is told what it misses. Kafka goes by the
	// records' times, which are the events': of a recording that is older nothing stays.
	Retention      time.Duration
	RetentionBytes int64
	// Configs are other settings, such as min.insync.replicas.
	Configs map[string]string
}

func (t Topics) withDefaults() (Topics, error) {
	t.Replicas = cmp.Or(t.Replicas, -1)
	t.Retention = cmp.Or(t.Retention, 7*24*time.Hour)
	t.RetentionBytes = cmp.Or(t.RetentionBytes, -1)
	if t.Replicas < -1 || t.Replicas > 1<<15-1 || t.Retention < 0 || t.RetentionBytes < -1 {
		return t, errors.New("kafka: a negative bound in the Topics")
	}
	return t, nil
}

// TopicError is that a topic is not there, or is not what a sink and its consumers can use. It is
// never changed.
type TopicError struct {
	Topic string
	// Faults are what is wrong with it.
	Faults []string
}

// Error says all of it.
func (e *TopicError) Error() string {
	return fmt.Sprintf("kafka: topic %s cannot be used: %s", e.Topic, strings.Join(e.Faults, "; "))
}

// topicInfo is what a sink has to know of a topic.
type topicInfo struct {
	detail    kadm.TopicDetail
	maxBytes  int           // of a batch
	retention time.Duration // 0 is not known, or for ever
}

// defaultMaxBytes is how long batches are at most where nobody says so.
const defaultMaxBytes = 1_000_000

// ensureTopic finds a topic, which it makes if it is not there and may be. fresh is whether it has just
// done so.
func ensureTopic(ctx context.Context, cl *kgo.Client, l Layout, t Topics, name string) (info topicInfo, fresh bool, err error) {
	adm := kadm.NewClient(cl)
	for {
		d, err := lookUp(ctx, adm, name)
		if err == nil {
			err = checkPartitions(l, d)
		}
		switch {
		case err == nil:
			info, err = inspect(ctx, adm, name)
			info.detail = d
			return info, false, err
		case !errors.Is(err, kerr.UnknownTopicOrPartition) && !errors.Is(err, kerr.LeaderNotAvailable):
			return info, false, fmt.Errorf("kafka: topic %s: %w", name, err)
		case t.Existing:
			return info, false, &TopicError{name, []string{"it is not there, and topics are not to be made"}}
		}
		if fresh, err = makeTopic(ctx, adm, l, t, name); err != nil {
			return info, false, err
		}
		if fresh {
			info, err = inspect(ctx, adm, name)
			if !errors.Is(err, kerr.UnknownTopicOrPartition) { // brokers hear of it one by one
				return info, true, err
			}
		}
		if err := again.Pause(ctx, 10*time.Millisecond); err != nil {
			return info, false, fmt.Errorf("kafka: topic %s: %w", name, err)
		}
	}
}

// lookUp returns a topic that is there with all its partitions.
func lookUp(ctx context.Context, adm *kadm.Client, name string) (kadm.TopicDetail, error) {
	all, err := adm.ListTopics(ctx, name)
	if err != nil {
		return kadm.TopicDetail{}, err
	}
	d, ok := all[name]
	switch {
	case !ok:
		return d, kerr.UnknownTopicOrPartition
	case d.Err != nil:
		return d, d.Err
	}
	for _, p := range d.Partitions {
		if p.Err != nil && !errors.Is(p.Err, kerr.ReplicaNotAvailable) {
			return d, p.Err
		}
	}
	return d, nil
}

func checkPartitions(l Layout, d kadm.TopicDetail) error {
	if n := len(d.Partitions); n != l.Partitions {
		return &TopicError{d.Topic, []string{fmt.Sprintf("it has %d partitions and not %d", n, l.Partitions)}}
	}
	return nil
}

func makeTopic(ctx context.Context, adm *kadm.Client, l Layout, t Topics, name string) (fresh bool, err error) {
	configs := map[string]*string{
		"cleanup.policy": kadm.StringPtr("delete"), "retention.ms": kadm.StringPtr(strconv.FormatInt(t.Retention.Milliseconds(), 10)),
		"retention.bytes": kadm.StringPtr(strconv.FormatInt(t.RetentionBytes, 10)), "message.timestamp.type": kadm.StringPtr("CreateTime"),
	}
	for k, v := range t.Configs {
		configs[k] = &v
	}
	_, err = adm.CreateTopic(ctx, int32(l.Partitions), int16(t.Replicas), configs, name)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, kerr.TopicAlreadyExists): // another has just made it
		return false, nil
	case errors.Is(err, kerr.InvalidConfig), errors.Is(err, kerr.PolicyViolation), errors.Is(err, kerr.InvalidReplicationFactor), errors.Is(err, kerr.InvalidPartitions):
		return false, &TopicError{name, []string{"it cannot be made: " + err.Error()}}
	}
	return false, fmt.Errorf("kafka: make topic %s: %w", name, err)
}

// inspect reads a topic's settings, as far as one is allowed to.
func inspect(ctx context.Context, adm *kadm.Client, name string) (topicInfo, error) {
	info := topicInfo{maxBytes: defaultMaxBytes}
	all, err := adm.DescribeTopicConfigs(ctx, name)
	if err == nil {
		var one kadm.ResourceConfig
		if one, err = all.On(name, nil); err == nil {
			err = one.Err
		}
		for _, c := range one.Configs {
			value := c.MaybeValue()
			switch c.Key {
			case "max.message.bytes":
				if n, err := strconv.Atoi(value); err == nil && n > 0 {
					info.maxBytes = min(info.maxBytes, n)
				}
			case "retention.ms":
				if n, err := strconv.ParseInt(value, 10, 64); err == nil && n > 0 && n < 1e12 {
					info.retention = time.Duration(n) * time.Millisecond
				}
			case "cleanup.policy":
				if strings.Contains(value, "compact") {
					return info, &TopicError{name, []string{"it keeps the last record of a symbol only (cleanup.policy " + value + ")"}}
				}
			}
		}
	}
	if err != nil && !Refused(err) {
		return info, fmt.Errorf("kafka: settings of %s: %w", name, err)
	}
	return info, nil
}
