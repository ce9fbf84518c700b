// Asks an external metrics API as the HPA controller does, with Kubernetes' own client, and prints
// what that client makes of the answers.
//
// Standard input is a JSON array of questions, standard output one of answers in the same order.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"log"
	"net/http"
	"os"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/metrics/pkg/client/external_metrics"
)

type question struct {
	Namespace string                `json:"namespace"`
	Metric    string                `json:"metric"`
	Selector  *metav1.LabelSelector `json:"selector"`
}

type answer struct {
	// What went over the wire; the last request, if client-go repeated it.
	Requests    int    `json:"requests"`
	URI         string `json:"uri"`
	Accept      string `json:"accept"`
	ContentType string `json:"contentType"`

	Items []item `json:"items"`
	Error *fault `json:"error"`
}

type item struct {
	Metric    string            `json:"metric"`
	Labels    map[string]string `json:"labels"`
	Timestamp string            `json:"timestamp"`
	Window    *int64            `json:"window"`
	Value     string            `json:"value"`
	// What the HPA controller adds up.
	Milli int64 `json:"milli"`
}

type fault struct {
	// The type that client-go decodes a Status of the server into.
	IsStatus bool   `json:"isStatus"`
	Code     int32  `json:"code"`
	Reason   string `json:"reason"`
	Message  string `json:"message"`
	NotFound bool   `json:"notFound"`
	Retry    int    `json:"retry"`
}

func main() {
	server := flag.String("server", "", "address, https://host:port")
	ca := flag.String("ca", "", "file with the certificate to trust")
	contentType := flag.String("content-type", "", "as the flag --kube-api-content-type")
	flag.Parse()
	// The client's own timeout would be a parameter of each request, which the HPA controller's are without.
	time.AfterFunc(time.Minute, func() { log.Fatal("not answered in a minute") })

	var questions []question
	if err := json.NewDecoder(os.Stdin).Decode(&questions); err != nil {
		log.Fatal(err)
	}
	answers := make([]answer, len(questions))
	for i, question := range questions {
		// A client each, so that the one transport sees one question's requests.
		wire := &recorder{answer: &answers[i]}
		client, err := external_metrics.NewForConfig(&rest.Config{
			Host:            *server,
			TLSClientConfig: rest.TLSClientConfig{CAFile: *ca},
			ContentConfig:   rest.ContentConfig{ContentType: *contentType},
			WrapTransport:   wire.wrap,
		})
		if err != nil {
			log.Fatal(err)
		}
		ask(client, question, &answers[i])
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		log.Fatal(err)
	}
}

func ask(client external_metrics.ExternalMetricsClient, question question, answer *answer) {
	// What k8s.io/kubernetes/pkg/controller/podautoscaler does with `metric.selector`.
	selector, err := metav1.LabelSelectorAsSelector(question.Selector)
	if err != nil {
		log.Fatal(err)
	}
	list, err := client.NamespacedMetrics(question.Namespace).List(question.Metric, selector)
	if err != nil {
		answer.Error = describe(err)
		return
	}
	answer.Items = []item{}
	for _, value := range list.Items {
		answer.Items = append(answer.Items, item{
			Metric:    value.MetricName,
			Labels:    value.MetricLabels,
			Timestamp: value.Timestamp.UTC().Format(time.RFC3339),
			Window:    value.WindowSeconds,
			Value:     value.Value.String(),
			Milli:     value.Value.MilliValue(),
		})
	}
}

func describe(err error) *fault {
	fault := &fault{
		Reason:   string(apierrors.ReasonForError(err)),
		Message:  err.Error(),
		NotFound: apierrors.IsNotFound(err),
	}
	fault.Retry, _ = apierrors.SuggestsClientDelay(err)
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		fault.IsStatus = true
		fault.Code = status.Status().Code
	}
	return fault
}

// recorder notes what goes over the wire.
type recorder struct {
	answer *answer
	next   http.RoundTripper
}

func (r *recorder) wrap(next http.RoundTripper) http.RoundTripper {
	r.next = next
	return r
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.next.RoundTrip(request)
	r.answer.Requests++
	r.answer.URI = request.URL.RequestURI()
	r.answer.Accept = request.Header.Get("Accept")
	if response != nil {
		r.answer.ContentType = response.Header.Get("Content-Type")
	}
	return response, err
}
