package expvar_test

import (
	"encoding/json"
	"expvar"
	"fmt"
	"log"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	metrics "github.com/tickstorm/tickstorm/metrics/expvar"
)

func TestPublish(t *testing.T) {
	const name = "tickstorm.TestPublish"
	messages := func() float64 {
		var got map[string]any
		require.NoError(t, json.Unmarshal([]byte(expvar.Get(name).String()), &got))
		return got["Messages"].(float64)
	}
	for _, n := range []uint64{1, 2} {
		var s tickstorm.Stats
		s.Messages = n
		require.NoError(t, metrics.Publish(name, func() tickstorm.Stats { return s }))
		require.EqualValues(t, n, messages())
		s.Messages = 7
		require.EqualValues(t, 7, messages(), "asked each time")
	}
	require.NoError(t, metrics.Publish(name, nil))
	require.Equal(t, "null", expvar.Get(name).String())
	require.ErrorIs(t, metrics.Publish("memstats", nil), metrics.ErrPublished)
}

// Publish makes a client's Stats a variable, which package expvar serves as JSON.
func ExamplePublish() {
	client, err := tickstorm.NewClient(tickstorm.Config{Key: "your key", Market: tickstorm.Stocks}, nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := metrics.Publish("stocks feed", client.Stats); err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.HasPrefix(expvar.Get("stocks feed").String(), `{"Messages":0,`))
	// Output: true
}
