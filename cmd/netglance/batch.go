package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/report"
)

// maxLine is how long a question may be, in bytes.
const maxLine = 64 << 10

// explainBatch answers a file of questions, or standard input.
func (a *app) explainBatch(file string) error {
	input := a.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return usage("--batch takes a file, or - for standard input", "%w", err)
		}
		defer f.Close()
		input = f
	}
	s, err := a.look(readFates)
	if err != nil {
		return err
	}
	e := newExplainer(s)
	a.notes(e.about)
	bad, err := answerLines(input, a.out, e.answerLine)
	if err != nil {
		return internal(err)
	}
	if bad > 0 {
		return batchFailed(bad)
	}
	return nil
}

// A job is a line and, when done is closed, its answer.
type job struct {
	number int
	line   []byte
	answer []byte
	failed bool
	done   chan struct{}
}

// answerLines answers every line, many at a time, and writes the answers in the
// lines' order, each as soon as it and those before it are there. It returns how
// many lines were bad.
func answerLines(in io.Reader, out io.Writer, answer func(line []byte) ([]byte, error)) (bad int, err error) {
	workers := runtime.GOMAXPROCS(0)
	todo, inOrder := make(chan *job, 64*workers), make(chan *job, 64*workers)
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for j := range todo {
				j.work(answer)
			}
		})
	}
	var readErr error
	running.Go(func() {
		readErr = readJobs(in, func(j *job) { inOrder <- j; todo <- j })
		close(todo)
		close(inOrder)
	})
	w := bufio.NewWriter(out)
	for j := range inOrder {
		<-j.done
		if j.failed {
			bad++
		}
		if err == nil {
			_, err = w.Write(j.answer)
		}
		if err == nil && len(inOrder) == 0 {
			err = w.Flush()
		}
	}
	running.Wait()
	return bad, errors.Join(err, w.Flush(), readErr)
}

func (j *job) work(answer func([]byte) ([]byte, error)) {
	defer close(j.done)
	out, err := answer(j.line)
	if err != nil {
		out, j.failed = report.ErrorLine(fmt.Errorf("line %d: %w", j.number, err)), true
	}
	j.answer = out
}

// readJobs makes a job of every line that is not blank. What is left of a line
// that is too long is skipped.
func readJobs(in io.Reader, f func(*job)) error {
	r := bufio.NewReaderSize(in, maxLine)
	for number := 1; ; number++ {
		line, err := r.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		j := &job{number: number, line: bytes.Clone(line), done: make(chan struct{})}
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.ReadSlice('\n')
		}
		if len(bytes.TrimSpace(j.line)) > 0 || long {
			f(j)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// answerLine answers one question in JSON.
func (e *explainer) answerLine(line []byte) ([]byte, error) {
	q, err := parseQuestion(line)
	if err != nil {
		return nil, err
	}
	queries, err := e.queries(q)
	if err != nil {
		return nil, err
	}
	return report.AnswerLine(e.explain(queries[0].Query)), nil
}

func parseQuestion(line []byte) (report.Question, error) {
	var q report.Question
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		return q, fmt.Errorf("not a question in JSON: %w", err)
	}
	if d.More() {
		return q, errors.New("more than one question in a line")
	}
	if _, known := correlate.Protocols[q.Protocol]; !known {
		return q, fmt.Errorf("\"protocol\" is %q: it must be tcp, udp or udplite", q.Protocol)
	}
	if q.Port == 0 {
		return q, errors.New("\"port\" is missing")
	}
	if q.From == "" {
		return q, errors.New("\"from\" is missing")
	}
	return q, nil
}
