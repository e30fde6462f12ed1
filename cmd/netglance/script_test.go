package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/netglance/netglance/platform"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"netglance": func() {
			version = "test"
			os.Exit(run(context.Background(), os.Args[1:], system()))
		},
	})
}

// The stories are in testdata/script; -update writes what the commands print into them.
func TestScripts(t *testing.T) {
	hosts, err := filepath.Abs("../../testdata/hosts")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/script",
		RequireExplicitExec: false,
		UpdateScripts:       updating(),
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOSTS", hosts)
			return nil
		},
		Condition: condition,
		Cmds:      map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// condition knows "twin": that a twin can be made here.
func condition(name string) (bool, error) {
	if name != "twin" {
		return false, fmt.Errorf("unknown condition %q", name)
	}
	kernel, err := platform.NewTwin()
	if err != nil {
		return false, nil
	}
	defer kernel.Close()
	return kernel.Do(func() error { _, err := kernel.OpenLink("probe0", 0, 1); return err }) == nil, nil
}

func updating() bool {
	f := flag.Lookup("update") // internal/golden's
	return f != nil && f.Value.String() == "true"
}

// exits runs a command and fails unless it ends with the code: "exits 2 netglance -x".
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARGUMENT...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		got = ended.ExitCode()
	case err != nil:
		ts.Fatalf("%v: %v", args, err)
	}
	if got != want {
		ts.Fatalf("%v ended with %d, want %d; stderr:\n%s", args[1:], got, want, ts.ReadFile("stderr"))
	}
}
