package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/netglance/netglance/platform"
)

func echo(line []byte) ([]byte, error) {
	if bytes.HasPrefix(line, []byte("bad")) {
		return nil, errors.New("bad question")
	}
	return append(bytes.TrimSpace(line), '\n'), nil
}

func TestAnswersComeInTheOrderOfTheQuestions(t *testing.T) {
	var in strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&in, "%d\n", i)
	}
	slowFirst := func(line []byte) ([]byte, error) {
		if len(line)%2 == 0 {
			time.Sleep(time.Microsecond)
		}
		return echo(line)
	}
	var out bytes.Buffer
	if bad, err := answerLines(strings.NewReader(in.String()), &out, slowFirst); bad != 0 || err != nil {
		t.Fatal(bad, err)
	}
	if out.String() != in.String() {
		t.Error("the answers are not in order")
	}
}

func TestAnAnswerDoesNotWaitForTheNextQuestion(t *testing.T) {
	questions, ask := io.Pipe()
	answers, answered := io.Pipe()
	go func() {
		answerLines(questions, answered, echo)
		answered.Close()
	}()
	read := bufio.NewReader(answers)
	for _, question := range []string{"one\n", "two\n"} {
		if _, err := io.WriteString(ask, question); err != nil {
			t.Fatal(err)
		}
		if answer, err := read.ReadString('\n'); answer != question || err != nil {
			t.Fatalf("%q, %v", answer, err)
		}
	}
	ask.Close()
	if rest, err := io.ReadAll(read); len(rest) > 0 || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestALineThatIsTooLongIsOneBadLine(t *testing.T) {
	in := "first\nbad" + strings.Repeat("x", 3*maxLine) + "\nlast"
	var out bytes.Buffer
	bad, err := answerLines(strings.NewReader(in), &out, echo)
	lines := strings.Split(out.String(), "\n")
	if bad != 1 || err != nil || len(lines) != 4 || lines[0] != "first" || lines[2] != "last" || !strings.Contains(lines[1], `"error":"line 2: bad question"`) {
		t.Errorf("%d bad, %v:\n%.300s", bad, err, out.String())
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestWritingFailureIsReported(t *testing.T) {
	if _, err := answerLines(strings.NewReader("one\ntwo\n"), brokenPipe{}, echo); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

// FuzzQuestion: whatever a line holds, there is an answer or an error.
func FuzzQuestion(f *testing.F) {
	host, err := platform.OpenRecording("../../testdata/hosts/web-1.ng")
	if err != nil {
		f.Fatal(err)
	}
	e := newExplainer(readRules(host))
	for _, seed := range []string{
		`{"protocol":"tcp","port":22,"to":"203.0.113.7","from":"10.1.2.3","source_port":40000,"via":"eth0"}`,
		`{"protocol":"udp","port":53,"from":"2001:db8::1"}`,
		`{"protocol":"tcp","port":22,"to":"fe80::1%eth0","from":"::ffff:192.0.2.1","via":"lo"}`,
		`{"protocol":"udplite","port":65535,"to":"255.255.255.255","from":"0.0.0.0"}`,
		`{"protocol":"tcp","port":-1}`, `[]`, `null`, `{`, ``, "\x00\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		answer, err := e.answerLine(line)
		if (answer == nil) == (err == nil) {
			t.Errorf("answer %q, error %v", answer, err)
		}
		if err == nil && bytes.Count(answer, []byte("\n")) != 1 {
			t.Errorf("not one line: %q", answer)
		}
	})
}
