package listeners

import (
	"sync"
	"sync/atomic"
)

// readers is how many questions the kernel is asked at a time; more wait for the
// same locks.
const readers = 2

// inTurns calls f with 0 to n-1, from some goroutines.
func inTurns(n int, f func(i int)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(readers, n) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	workers.Wait()
}
