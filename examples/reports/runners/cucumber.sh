mkdir -p results
cat > results/cucumber.json <<'JSON'
[{
  "id": "checkout", "name": "Checkout", "keyword": "Feature", "uri": "features/checkout.feature",
  "elements": [
    { "id": "checkout;pay-by-card", "name": "Pay by card", "keyword": "Scenario", "type": "scenario", "steps": [
      { "name": "a full basket", "keyword": "Given ", "result": { "status": "passed", "duration": 1500000 } },
      { "name": "I pay", "keyword": "When ", "result": { "status": "passed", "duration": 2500000 } } ] },
    { "id": "checkout;pay-later", "name": "Pay later", "keyword": "Scenario", "type": "scenario", "steps": [
      { "name": "a known customer", "keyword": "Given ", "result": { "status": "passed", "duration": 1000000 } } ] }
  ]
}]
JSON
echo "2 scenarios, 2 passed"
