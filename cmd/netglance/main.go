// Command netglance tells, for every port of a host, who owns it, who can reach
// it and by which rule, and whether that is meant.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
)

// gcPercent spares a run that ends within a second most of its garbage
// collections: none happens below 16 MiB.
const gcPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], system())
	stop()
	os.Exit(code)
}
