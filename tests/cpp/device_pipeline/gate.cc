// The parity gate on a GPU: networks, then whole runs.

#include "pipelines.h"

using namespace cardiacseg;
using namespace cardiacseg::test;

TEST(the_first_run_verifies) {
  const Image image({3, 1, 30, 32});
  for (const std::string& bundle : kBundles) {
    FakeOptions fake;
    fake.verified = false;
    const auto pipeline = device_pipeline(bundle, fake);
    pipeline->warm_up({image.cine.shape, image.cine.spacing, image.cine.type}, {});
    CHECK(fake.marked == 0);
    check_same(pipeline->run(image.cine, {}), host_pipeline(bundle)->run(image.cine, {}));
    const int marked = fake.marked;
    CHECK(marked == 1 + (bundle_of(bundle).ref ? 1 : 0) + (bundle_of(bundle).locate ? 1 : 0));
    pipeline->run(image.cine, {});
    CHECK(fake.marked == marked);
  }
}

TEST(engines_that_fail_the_gate_do_not_run) {
  Image image({3, 1, 30, 32});
  FakeOptions fake;
  fake.verified = false;
  fake.added_to_logits = 0.01F;
  const auto pipeline = device_pipeline(kWhole, fake);
  CHECK_THROWS_CODE(pipeline->run(image.cine, {}), ErrorCode::backend, "cardiacseg build-engine");
  CHECK_THROWS_CODE(pipeline->run(image.cine, {}), ErrorCode::backend, "expected logits within 0.001");
  CHECK(fake.marked == 0);
  const Parity parity = pipeline->verify(image.cine);
  CHECK(!parity.passed && parity.stages.size() == 3 && parity.stages[0].passed && !parity.stages[1].passed);
  CHECK_NEAR(parity.stages[1].largest_difference, 0.01, 1e-5);
  fake.precision = Precision::float16;  // labels alone count
  CHECK(pipeline->verify(DeviceImage(image.cine).cine).passed);
  CHECK(fake.marked == 3);
  fake.seg_writes_nothing = true;
  CHECK(pipeline->verify(image.cine).stages[1].unwritten > 0);
  CHECK_THROWS_CODE(host_pipeline(kWhole)->verify(image.cine), ErrorCode::backend, "no bf16 in this test");
}

TEST(the_gate_sees_the_labels_of_whole_runs) {
  const Image image({5, 2, 45, 38});
  FakeOptions fake;
  fake.verified = false;
  const auto pipeline = device_pipeline(kWhole, fake);
  const int before = fake.enqueued;
  const Parity parity = pipeline->verify(image.cine);
  CHECK(parity.passed && parity.stages.size() == 4 && parity.stages[3].stage == "pipeline");
  CHECK(parity.stages[3].differing == 0 && parity.stages[3].voxels == 2 * image.cine.shape.voxels());
  CHECK(fake.enqueued > before);
  CHECK(pipeline->run(image.cine, {}).report.graph == "yes");
  FakeOptions wrong;
  wrong.verified = false;
  wrong.background_in_pipeline = 100;
  const Parity refused = device_pipeline(kWhole, wrong)->verify(image.cine);
  CHECK(!refused.passed && refused.stages[2].passed && !refused.stages[3].passed && wrong.marked == 0);
  CHECK(refused.summary.find("pipeline (fp32): Dice 0, ") != std::string::npos);
}
