package policy

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// editorSchema is the published one, as editors use it.
func editorSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	content, err := os.ReadFile("../../report/schema/policy.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("policy.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("policy.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func valid(s *jsonschema.Schema, text string) error {
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		return err
	}
	return s.Validate(plainValue(v))
}

// plainValue turns YAML's dates into the words that an editor sees.
func plainValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = plainValue(v[k])
		}
	case []any:
		for i := range v {
			v[i] = plainValue(v[i])
		}
	case time.Time:
		return v.Format(time.DateOnly)
	}
	return v
}

func TestTheSchemaForEditorsTakesWhatIsRead(t *testing.T) {
	s := editorSchema(t)
	if err := valid(s, full); err != nil {
		t.Error(err)
	}
}

// What a schema can't know: names, dates that don't exist, prefixes, files, and
// what YAML itself takes.
var beyondSchema = map[string]bool{
	"port 0": true, "a range that runs backwards": true, "a prefix with bits behind its length": true, "a source that is misspelt": true, "a service that nobody knows": true,
	"a date that doesn't exist": true, "two documents": true, "an alias": true, "a word that means nothing in an assertion": true, "an assertion about every port": true,
	"a profile that isn't there": true, "a profile that includes itself": true, "a pattern that doesn't end": true,
}

func TestTheSchemaForEditorsRefusesWhatIsRefused(t *testing.T) {
	s := editorSchema(t)
	for _, c := range refused {
		if err := valid(s, c.text); (err == nil) != beyondSchema[c.name] {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
