# 程序重启时会进行状态一致性检查
restore_result = manager.restore_running_states()

for result in restore_result['results']:
    if not result['success']:
        print(f"恢复失败: {result['error']}")
        if result.get('skipped'):
            print("状态检查跳过恢复")
