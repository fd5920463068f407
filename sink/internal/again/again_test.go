package again_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/sink/internal/again"
)

func TestWait(t *testing.T) {
	const least, most = time.Second, time.Minute
	for tries, whole := range map[int]time.Duration{1: least, 2: 2 * least, 3: 4 * least, 6: 32 * least, 7: most, 31: most, 1000: most} {
		for range 100 {
			wait := again.Wait(tries, least, most)
			require.GreaterOrEqual(t, wait, whole/2, tries)
			require.LessOrEqual(t, wait, whole, tries)
		}
	}
	require.Positive(t, again.Wait(3, 1<<62, 1<<63-1), "it does not overflow")
}

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		require.NoError(t, again.Pause(t.Context(), time.Hour))
		require.Equal(t, time.Hour, time.Since(began))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, again.Pause(ctx, time.Hour), context.DeadlineExceeded)
		require.Equal(t, time.Hour+time.Minute, time.Since(began))
	})
}
